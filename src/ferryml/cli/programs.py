"""Starting Ferry's own programs: their extras, their settings, their logs."""

from __future__ import annotations

import gc
import importlib
import importlib.util
import logging
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from ferryml.domain.errors import Refused
from ferryml.settings.knob import Settings

INSTALL = "pip install 'ferryml[server,agent]'"
NEEDED = ("fastapi", "uvicorn", "sqlalchemy", "alembic", "obstore", "mlflow", "cryptography", "jwt", "psutil", "uv")
"""One import of each library of both extras, cheap to look for before a program is started."""
S = TypeVar("S", bound=Settings)


def program(module: str) -> Any:
    """A module that needs the extras. Raises Refused(MissingExtra) with the exact command that installs them.

    What it loads stays for good, so the garbage collector is kept from looking through it, now and later: see
    cli_start in docs/benchmarks.md.
    """
    gc.disable()
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "ferryml":
            raise
        raise _missing(error.name or "") from error
    finally:
        gc.freeze()
        gc.enable()


def check_extras() -> None:
    """Refuse before anything is begun; looks, but imports nothing. Raises Refused(MissingExtra)."""
    for name in NEEDED:
        if importlib.util.find_spec(name) is None:
            raise _missing(name)


def _missing(name: str) -> Refused:
    return Refused("MissingExtra", f"this needs {name}, which the client's install leaves out", INSTALL)


def settings(
    model: type[S], options: Mapping[str, Any], config: Path | None = None, kept: Mapping[str, object] | None = None
) -> S:
    """The settings of a program: options before FERRY_* before the settings file before defaults.

    Args:
        options: setting -> value, None where the command line does not say.
        config: TOML file; None: FERRY_SETTINGS, else none.
        kept: what an earlier command wrote down, used below the file.
    """
    from ferryml.settings.load import load

    said = {model.environment_name(name): str(value) for name, value in options.items() if value is not None}
    file = _read(config or (Path(os.environ["FERRY_SETTINGS"]) if "FERRY_SETTINGS" in os.environ else None))
    section = {**(kept or {}), **_section(file, model.section)}
    return load(model, {**os.environ, **said}, {model.section: section})


def log_to_stderr() -> None:
    """A program's log: one line each, with the time. FERRY_LOG_LEVEL names the least level; INFO by default."""
    named = logging.getLevelNamesMapping()
    level = named.get(os.environ.get("FERRY_LOG_LEVEL", "").upper(), logging.INFO)
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name in ("httpx", "alembic", "mlflow", "uvicorn.error"):
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def _read(config: Path | None) -> Mapping[str, Any]:
    if config is None:
        return {}
    try:
        return tomllib.loads(config.read_text(encoding="utf-8"))
    except OSError as error:
        raise Refused("FileNotFound", f"{config} cannot be read: {error.strerror}", "Name a settings file.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Refused("BadValue", f"{config} is not TOML: {error}", "See docs/settings.md.") from error


def _section(file: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = file.get(name, {})
    if not isinstance(section, Mapping):
        raise Refused("BadValue", f"{name} in the settings file must be a section", "See docs/settings.md.")
    return section
