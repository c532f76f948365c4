"""Where the server is and as whom: flags, environment, named contexts, or a `.ferry` folder, in that order."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from ferryml.domain.errors import NotFound, Refused
from ferryml.sdk.sending import Target

STATE_FOLDER = ".ferry"
URL_FILE = "url"
TOKEN_FILE = "admin.token"  # noqa: S105 - the name of a file, not a secret
DEFAULT_URL = "http://127.0.0.1:8765"


@dataclass(frozen=True, slots=True)
class Found:
    """The answer: where, as whom, which workspace, and what said so."""

    target: Target
    workspace: str
    source: str


@dataclass(slots=True)
class Contexts:
    """Named servers of this user, in `~/.config/ferry/config.yaml` (mode 0600: it holds tokens)."""

    path: Path
    current: str = ""
    contexts: dict[str, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Contexts:
        """What is saved; empty when nothing is. Raises Refused(BadYaml)."""
        path = config_path(environ)
        if not path.is_file():
            return cls(path)
        try:
            data: Any = YAML(typ="safe").load(path.read_text(encoding="utf-8")) or {}
            return cls(path, str(data.get("current") or ""), {k: dict(v) for k, v in data.get("contexts", {}).items()})
        except (YAMLError, AttributeError, TypeError, ValueError) as error:
            raise Refused(
                "BadYaml", f"{path} cannot be read: {error}", "Mend or delete it, then `ferry login`."
            ) from error

    def save(self) -> None:
        """Whole or not at all, readable by this user only."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = self.path.with_suffix(".part")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            YAML(typ="safe").dump({"current": self.current, "contexts": self.contexts}, file)
        os.replace(part, self.path)


def config_path(environ: Mapping[str, str]) -> Path:
    """FERRY_CONFIG, else below XDG_CONFIG_HOME, else `~/.config`."""
    if "FERRY_CONFIG" in environ:
        return Path(environ["FERRY_CONFIG"])
    home = environ.get("XDG_CONFIG_HOME") or str(Path(environ.get("HOME", "~")).expanduser() / ".config")
    return Path(home) / "ferry" / "config.yaml"


def locate(
    environ: Mapping[str, str],
    folder: Path,
    *,
    url: str | None = None,
    token: str | None = None,
    workspace: str | None = None,
    context: str | None = None,
) -> Found:
    """The server to talk to. Raises NotFound for a context that does not exist."""
    bundle = environ.get("FERRY_CA_BUNDLE")
    place = url or environ.get("FERRY_URL")
    secret = token or environ.get("FERRY_TOKEN") or ""
    area = workspace or environ.get("FERRY_WORKSPACE")
    if place:
        return Found(_target(place, secret, bundle), area or "default", "FERRY_URL" if not url else "argument")
    wanted = context or environ.get("FERRY_CONTEXT")
    state = None if wanted else _state_folder(folder)
    if state is not None:
        secret = secret or _read(state / TOKEN_FILE)
        return Found(_target(_read(state / URL_FILE), secret, bundle), area or "default", str(state))
    saved = Contexts.read(environ)
    name = wanted or saved.current
    if not name:
        return Found(_target(DEFAULT_URL, secret, bundle), area or "default", "default")
    if name not in saved.contexts:
        have = ", ".join(saved.contexts) or "none"
        raise NotFound("NotFound", f"there is no context {name!r}; there is: {have}", "See `ferry context list`.")
    kept = saved.contexts[name]
    target = _target(kept["url"], secret or kept.get("token", ""), bundle or kept.get("ca_bundle"))
    return Found(target, area or kept.get("workspace") or "default", f"context {name}")


def _target(url: str, token: str, bundle: str | None) -> Target:
    return Target(url=url.rstrip("/"), token=token, ca_bundle=Path(bundle) if bundle else None)


def _state_folder(folder: Path) -> Path | None:
    for place in (folder, *folder.parents):
        if (place / STATE_FOLDER / URL_FILE).is_file():
            return place / STATE_FOLDER
    return None


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""
