"""Preparations: lays out what prepare.sh needs in the user's image, and reads what it left there."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil

from ferryml.runner.door import Door, Rejected

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))
LOCK_HEAD = "# ferry lock 1"
PLACES = ("--index-url", "-i", "--extra-index-url", "--find-links", "-f")
_NOISE = re.compile(r"^\s*(error:|cause:|hint:|\u00d7|╰─▶|├─▶|│)\s*")


def is_preparation(plan: dict[str, Any]) -> bool:
    return plan.get("kind") == "preparation"


def lay_out(plan: dict[str, Any], folder: str, door: Door) -> dict[str, Any]:
    """Writes the files that prepare.sh reads; gives the plan back with its command and variables."""
    top = os.path.dirname(folder)
    prep, programs = os.path.join(folder, "prepare"), os.path.join(top, "bin")
    shutil.rmtree(prep, ignore_errors=True)
    for path in (prep, programs, os.path.join(folder, "code"), os.path.join(top, "cache")):
        os.makedirs(path, exist_ok=True)
    _copy_uv(programs)
    for name in ("choose.py", "finish.py"):
        shutil.copyfile(os.path.join(HERE, name), os.path.join(prep, name))
    lock, usable = plan["lock"], lock_answers(plan)
    lines, dropped = requirement_lines(plan["requirements"])
    pip, _ = requirement_lines(plan["pip"])
    texts = {
        "lock.txt": lock if lock and usable else "",
        "constraints.txt": without_hashes(lock) if lock and not usable else "",
        "requirements.txt": _joined(lines),
        "options.txt": _joined([line for line in lines if line.startswith("-")]),
        "pip.txt": _joined(pip),
        "conda.txt": _joined(conda_words(plan)),
        "conda.wanted": _joined(plan["conda"]),
        "mapped.notes": _joined(plan["notes"]),
        "notes": _joined(dropped),
        "unmapped": plan.get("unmapped", ""),
        "pinned": "",
    }
    for name, text in texts.items():
        with open(os.path.join(prep, name), "w", encoding="utf-8") as file:
            file.write(text)
    env = {
        "FERRY_PREPARATION": prep, "FERRY_ENVIRONMENT": plan["folder"], "FERRY_BIN": programs,
        "FERRY_CACHE": os.path.join(top, "cache"), "FERRY_PYTHON": plan["python"] or lock_python(lock),
        "FERRY_PYTHON_POLICY": plan["python_policy"], "FERRY_LOCK_PYTHON": lock_python(lock),
        "FERRY_INHERIT": "yes" if plan.get("inherit") else "",
        "FERRY_CONDA": "yes" if _has_channel(plan, door) else "",
        "UV_DEFAULT_INDEX": plan["index"], "UV_PYTHON_DOWNLOADS": "never", "UV_NO_CONFIG": "1",
        "UV_HTTP_TIMEOUT": "300", "UV_CACHE_DIR": os.path.join(top, "cache", "uv"),
        "PIP_INDEX_URL": plan["index"], "PIP_CONFIG_FILE": "/dev/null",
        "NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost",
    }  # fmt: skip
    with open(os.path.join(HERE, "prepare.sh"), encoding="utf-8") as file:
        return {**plan, "command": file.read(), "env": env}


def requirement_lines(lines: list[str]) -> tuple[list[str], list[str]]:
    """Without what names another index, and what is to be said about that: pods reach the site's alone."""
    other = [line for line in lines if re.split(r"[\s=]", line, maxsplit=1)[0] in PLACES]
    words = "is not honoured: packages come from the site's package index"
    return [line for line in lines if line not in other], [f"{_plain(line)} {words}" for line in other]


def conda_words(plan: dict[str, Any]) -> list[str]:
    """Arguments of `conda create`, channels through the site's gateway."""
    channels = [name for name in plan["channels"] if name != "nodefaults"] or ["conda-forge"]
    words = [word for name in channels for word in ("--channel", f"{plan['conda_channels']}/{_channel(name)}")]
    python = plan["python"]
    wanted = (
        f"python{python}" if python[:1] in ("<", ">", "=", "!", "~") else f"python={python}" if python else "python"
    )
    return [*words, wanted, "pip", *plan["conda"]]


def lock_answers(plan: dict[str, Any]) -> bool:
    """As compile.environment.lock_answers: the lock was made for exactly these requirements, or says nothing of it."""
    match = re.search(r"^# for (\S+)$", plan["lock"], re.MULTILINE)
    return match is None or match[1] == ingredients_hash(plan["order"])


def ingredients_hash(order: dict[str, Any]) -> str:
    """As compile.environment.ingredients_hash."""
    asked = {name: order[name] for name in ("python", "pip", "conda")}
    return hashlib.sha256(json.dumps(asked, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def lock_python(lock: str) -> str:
    match = re.search(r"^# python (\S+)$", lock, re.MULTILINE)
    return match[1] if match else ""


def without_hashes(lock: str) -> str:
    kept = (line.split("\\")[0].strip() for line in lock.splitlines() if not line.strip().startswith(("--hash", "#")))
    return _joined([line for line in kept if line])


def lock_made(plan: dict[str, Any], folder: str) -> str:
    """The lock of what prepare.sh made, as compile.environment.lock_text writes it.

    What conda made is locked for conda alone: uv could not install half of it.
    """
    prep = os.path.join(folder, "prepare")
    pinned, conda = _read(prep, "pinned").strip(), _read(prep, "conda.lock")
    if pinned.startswith(LOCK_HEAD):
        return pinned + "\n"
    minor = ".".join(_read(prep, "version").strip().split(".")[:2])
    asked = ("conda-" if conda else "") + ingredients_hash(plan["order"])
    return f"{LOCK_HEAD}\n# python {minor}\n# for {asked}\n{conda}{pinned}\n"


def notes_made(folder: str) -> list[str]:
    return [line for line in _read(os.path.join(folder, "prepare"), "notes").splitlines() if line]


def reason(folder: str) -> str:
    """Why it failed, on one line, in the words of uv or conda without their ornaments."""
    said = _read(os.path.join(folder, "prepare"), "reason")
    lines = [line.rstrip() for line in said.splitlines() if line.strip()]
    start = next((number for number, line in enumerate(lines) if re.match(r"\s*(error:|\u00d7)", line)), 0)
    kept = [_NOISE.sub("", line).strip() for line in lines[start:]]
    return " ".join(dict.fromkeys(part for part in kept if part))[:2000]


def _copy_uv(programs: str) -> None:
    found = shutil.which("uv")
    if found is None:
        raise Rejected(500, "StagingFailed", "the runner's image has no uv")
    target = os.path.join(programs, "uv")
    shutil.copyfile(found, target + ".partial")
    os.chmod(target + ".partial", 0o755)  # noqa: S103  a program, run by another user
    os.replace(target + ".partial", target)


def _has_channel(plan: dict[str, Any], door: Door) -> bool:
    return bool((door.get_json("/v1/conda") or {}).get("channel"))


def _channel(name: str) -> str:
    """`https://host/conda-forge` is the channel conda-forge of the site."""
    return name.rstrip("/").rpartition("/")[2]


def _plain(line: str) -> str:
    """Without credentials."""
    return re.sub(r"//[^/@\s]+@", "//***@", line)


def _joined(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _read(folder: str, name: str) -> str:
    try:
        with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
            return file.read(4 << 20)
    except OSError:
        return ""
