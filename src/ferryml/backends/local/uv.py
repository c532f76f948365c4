"""Calls uv: one place that knows its arguments, hides secrets, and finds the line that matters in what it says."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from uv import find_uv_bin

from ferryml.domain.errors import Refused, Unavailable
from ferryml.settings.site import SiteSettings

_ADDRESS = re.compile(r"[a-z+]+://[^\s`'\"<>)]+")
_NETWORK = re.compile(r"error sending request|tcp connect error|timed out|dns error|connection (refused|reset)", re.I)
_HIDDEN_ENV = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "UV_PROJECT", "UV_PROJECT_ENVIRONMENT", "CONDA_PREFIX")


@dataclass(frozen=True)
class Uv:
    """uv with the site's index, proxy and certificates.

    Args:
        folder: where it works; nobody's project lies there.
    """

    settings: SiteSettings
    folder: Path

    def pythons(self) -> dict[str, str]:
        """Version -> path of every CPython that is installed here."""
        text = self._run(["python", "list", "--only-installed", "--output-format", "json"])
        found: dict[str, str] = {}
        for item in json.loads(text):
            if item.get("implementation") == "cpython" and item.get("path") and item.get("variant") == "default":
                found.setdefault(item["version"], item["path"])
        return found

    def resolve(self, lines: Sequence[str], python: str, constraints: str = "") -> str:
        """Pinned lines with hashes for an interpreter; raises Refused EnvironmentFailed naming the package."""
        argv = ["pip", "compile", "-", "--python", python, "--generate-hashes", "--no-header", "--no-annotate"]
        if constraints:
            path = self.folder / "constraints.txt"
            path.write_text(_without_hashes(constraints), encoding="utf-8")
            argv += ["--constraint", str(path)]
        return self._run(argv, "\n".join(lines) + "\n")

    def create(self, folder: Path, python: str) -> None:
        self._run(["venv", "--no-project", "--allow-existing", "--python", python, str(folder)])

    def install(self, folder: Path, lock: str, options: Sequence[str] = ()) -> None:
        """Makes the environment hold exactly the lock's lines, their hashes checked.

        `options` are pip options of the requirements, such as another index: a lock names no place.
        """
        path = self.folder / "lock.txt"
        path.write_text("\n".join([*options, lock]), encoding="utf-8")
        strict = ["--require-hashes"] if _all_hashed(lock) else []
        self._run(
            [
                "pip",
                "sync",
                "--python",
                str(folder / "bin" / "python"),
                "--allow-empty-requirements",
                *strict,
                str(path),
            ]
        )

    def _run(self, arguments: Sequence[str], text: str = "") -> str:
        quiet = [] if arguments[0] == "python" else ["--quiet"]  # its answer counts as noise, too
        argv = [find_uv_bin(), *arguments, *quiet, "--no-progress", "--color", "never"]
        process = subprocess.Popen(
            argv, cwd=self.folder, env=self._env(), start_new_session=True, text=True, errors="replace",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            out, err = process.communicate(text, timeout=self.settings.prepare_timeout_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            limit = f"{self.settings.prepare_timeout_s:g} s"
            raise Refused(
                "EnvironmentFailed", f"preparing took longer than {limit}", "Raise prepare_timeout_s."
            ) from None
        if process.returncode == 0:
            return out
        line = self.essential(err)
        if _NETWORK.search(err):
            raise Unavailable("EnvironmentFailed", line, "The package index cannot be reached from this site.")
        raise Refused("EnvironmentFailed", line, "Mend the environment's requirements.")

    def essential(self, said: str) -> str:
        """The reason in uv's words, on one line, without addresses of indexes and without secrets."""
        lines = [line.rstrip() for line in said.splitlines() if line.strip()]
        start = next((number for number, line in enumerate(lines) if re.match(r"\s*(error:|\u00d7)", line)), 0)
        kept = [re.sub(r"^\s*(error:|cause:|hint:|\u00d7|╰─▶|├─▶|│)\s*", "", line).strip() for line in lines[start:]]
        text = " ".join(dict.fromkeys(part for part in kept if part))
        return self.redacted(text)[:2000] or "uv ended without saying why"

    def redacted(self, text: str) -> str:
        """Credentials go; the address of the site's own index is a secret as a whole."""
        own = urlsplit(self.settings.package_index).hostname if self.settings.package_index else None

        def clean(match: re.Match[str]) -> str:
            parts = urlsplit(match[0])
            try:
                host = parts.hostname or ""
            except ValueError:
                return "<address>"
            if own and host == own:
                return "<package index>"
            return match[0].replace(f"{parts.username}:{parts.password}@", "***@") if parts.username else match[0]

        return _ADDRESS.sub(clean, text)

    def _env(self) -> dict[str, str]:
        hidden = (*_HIDDEN_ENV, *(key for key in os.environ if key.startswith("FERRY_")))
        env = {key: value for key, value in os.environ.items() if key not in hidden}
        env |= {"UV_PYTHON_DOWNLOADS": "never", "PATH": _search_path()}
        if self.settings.package_index:
            env["UV_DEFAULT_INDEX"] = self.settings.package_index
        if self.settings.proxy:
            env |= {"HTTPS_PROXY": self.settings.proxy, "HTTP_PROXY": self.settings.proxy}
            env["NO_PROXY"] = self.settings.no_proxy
        if self.settings.ca_bundle:
            env["SSL_CERT_FILE"] = str(self.settings.ca_bundle)
        return env


def own_python() -> tuple[str, str]:
    """(version, path) of the interpreter that this program runs on, outside of its virtual environment."""
    version = ".".join(map(str, sys.version_info[:3]))
    path = Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    return version, str(path if path.exists() else Path(sys.executable))


def _search_path() -> str:
    """PATH and, behind it, the Pythons that pyenv keeps out of it."""
    extra = sorted(Path.home().glob(".pyenv/versions/*/bin"), reverse=True)
    return os.pathsep.join([os.environ.get("PATH", os.defpath), *map(str, extra)])


def _all_hashed(lock: str) -> bool:
    entries = re.sub(r"\\\n", " ", lock).splitlines()
    return all("--hash=" in line for line in entries if line.strip() and not line.strip().startswith(("#", "-")))


def _without_hashes(lock: str) -> str:
    kept = (line.split("\\")[0].strip() for line in lock.splitlines() if not line.strip().startswith(("--hash", "#")))
    return "\n".join(line for line in kept if line) + "\n"
