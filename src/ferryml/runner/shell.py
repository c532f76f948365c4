"""Writes what main.sh reads: the user's image may have a shell and nothing else, so all is decided here."""

from __future__ import annotations

import os
import re
import shlex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_NO_LIMIT_S = 10 * 365 * 86400


def write_shell(plan: dict[str, Any], folder: str, index: int) -> None:
    """settings.sh, env.sh and command.sh of pod number `index`, and the folders and pipes that main.sh expects."""
    for name in ("run", "user_logs", "home/tmp"):
        os.makedirs(os.path.join(folder, name), exist_ok=True)
    gate = os.path.join(folder, "gate")
    if not os.path.exists(gate):
        os.mkfifo(gate)
        os.chmod(gate, 0o660)
    _write(os.path.join(folder, "settings.sh"), settings_text(plan, folder, index))
    _write(os.path.join(folder, "env.sh"), env_text(plan, index))
    command = chosen(plan, "commands", index)
    _write(os.path.join(folder, "command.sh"), (plan["command"] if command is None else command) + "\n")


def chosen(plan: dict[str, Any], name: str, index: int) -> Any:
    """What a list of the plan has for pod number `index`; None where it says nothing of it."""
    values = plan.get(name) or []
    return values[index] if index < len(values) else None


def work_of(plan: dict[str, Any], folder: str) -> str:
    """The program's working directory."""
    return str(plan.get("work") or os.path.join(folder, "code"))


def settings_text(plan: dict[str, Any], folder: str, index: int) -> str:
    """What main.sh itself must know; whole numbers only, for a shell can count no others."""
    limit, ranks = plan.get("timeout_s"), int(plan.get("ranks") or 1)
    values = {
        "ranks": 1 if plan.get("mpi") else ranks,
        "first_rank": index if plan.get("mpi") else index * ranks,
        "role": "worker" if plan.get("mpi") and index else "",
        "grace": max(0, round(plan["grace_s"])),
        "timeout": "" if limit is None else max(1, round(limit + plan["timeout_slack_s"])),
        "patience": max(1, min(_NO_LIMIT_S, round(plan["upload_patience_s"]))),
        "work": work_of(plan, folder),
        "home": os.path.join(folder, "home"),
    }
    shared = [os.path.join(folder, name) for name in ("code", "outputs", "user_logs")]
    lines = [f"{name}={shlex.quote(str(value))}" for name, value in values.items()]
    return "\n".join([*lines, f"share() {{ chmod -R g+rX {_words(shared)}; }}", ""])


def env_text(plan: dict[str, Any], index: int) -> str:
    """The user's variables; a name that no shell knows goes through the program `env`."""
    env = {**plan["env"], **(chosen(plan, "rank_env", index) or {}), "AZUREML_CR_NODE_RANK": str(index)}
    plain = {name: value for name, value in env.items() if _NAME.match(name)}
    odd = [f"{name}={value}" for name, value in env.items() if not _NAME.match(name) and "=" not in name and name]
    lines = [f"export {name}={shlex.quote(value)}" for name, value in plain.items()]
    defaults = (plan.get("env_defaults") or {}).items()
    lines += [f'[ -n "${{{name}-}}" ] || export {name}={shlex.quote(value)}' for name, value in defaults]
    path = ":".join(plan.get("path") or [])
    if path:
        lines.append(f'export PATH={shlex.quote(path)}:"${{PATH:-/usr/local/bin:/usr/bin:/bin}}"')
    lines.append(f"ferry_ranks={1 if plan.get('mpi') else int(plan.get('ranks') or 1)}")
    # What is started in the background ignores these two for ever, unless something resets them.
    lines.append("ferry_exec() {")
    lines.append("    if env --default-signal=INT,QUIT true 2>/dev/null; then")
    lines.append(f'        exec env --default-signal=INT,QUIT {_words(odd)} "$@"')
    lines.append("    fi")
    lines.append(f'    exec env {_words(odd)} "$@"' if odd else '    exec "$@"')
    return "\n".join([*lines, "}", ""])


def _words(values: list[str]) -> str:
    return " ".join(map(shlex.quote, values))


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
