"""`ferry context`: the servers that are remembered."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ferryml.cli import kit
from ferryml.cli.kit import Shared, new_app
from ferryml.domain.errors import NotFound
from ferryml.sdk.config import Contexts, locate

COLUMNS = ("current", "name", "url", "workspace")
app = new_app("Contexts: the servers that are remembered.")


@kit.verb(app, "list", COLUMNS)
def list_() -> Any:
    """List contexts, without their tokens."""
    saved = Contexts.read(os.environ)
    return [_shown(name, kept, name == saved.current) for name, kept in saved.contexts.items()]


@kit.verb(app, "show", COLUMNS)
def show(shared: Shared) -> Any:
    """Show where a command would go now, and why."""
    found = locate(os.environ, Path.cwd(), workspace=shared.workspace_name, context=shared.context)
    return {
        "url": found.target.url, "workspace": found.workspace, "source": found.source,
        "token": bool(found.target.token),
    }  # fmt: skip


@kit.verb(app, "use")
def use(name: kit.Name) -> None:
    """Make a context the current one."""
    saved = _having(name)
    saved.current = name
    saved.save()


@kit.verb(app, "delete")
def delete(name: kit.Name, yes: kit.Yes = False) -> None:
    """Forget a context and its token."""
    kit.confirm(yes, f"Forget context {name}?")
    saved = _having(name)
    del saved.contexts[name]
    saved.current = "" if saved.current == name else saved.current
    saved.save()


def _having(name: str) -> Contexts:
    saved = Contexts.read(os.environ)
    if name not in saved.contexts:
        raise NotFound("NotFound", f"there is no context {name!r}", "See `ferry context list`.")
    return saved


def _shown(name: str, kept: dict[str, str], current: bool) -> dict[str, Any]:
    return {"name": name, "current": current, "url": kept["url"], "workspace": kept.get("workspace", "default")}
