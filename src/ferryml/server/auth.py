"""Who is calling: people by token, sites by signature, and what a path or body may hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Body, Depends, Path, Query, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import AfterValidator

from ferryml.control import sites, tokens
from ferryml.control.context import Caller, Deps
from ferryml.control.ports import Json
from ferryml.domain.errors import Unauthenticated

MOST = 2**63 - 1
"""Largest number that a database takes."""
DEEPEST = 64
"""Levels of nesting in a body."""

_person = HTTPBearer(auto_error=False, scheme_name="token", description="A token of `ferry token create`.")
_site = HTTPBearer(auto_error=False, scheme_name="site", description="A JWT signed by the site's key.")
Shown = Annotated[HTTPAuthorizationCredentials | None, Security(_person)]
SiteShown = Annotated[HTTPAuthorizationCredentials | None, Security(_site)]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a route hands to its use case."""

    deps: Deps
    caller: Caller


def deps_of(request: Request) -> Deps:
    """The hands, as bootstrap put them together."""
    deps: Deps = request.app.state.deps
    return deps


def person(request: Request, shown: Shown) -> Asked:
    """Who shows a token; raises Unauthenticated."""
    deps = deps_of(request)
    if shown is None:
        raise Unauthenticated("Unauthenticated", "no token came with the request", "Log in with `ferry login`.")
    return Asked(deps, tokens.verify(deps, shown.credentials))


def agent(request: Request, shown: SiteShown) -> str:
    """The site whose agent calls."""
    return _half(request, shown, "agent")


def gateway(request: Request, shown: SiteShown) -> str:
    """The site whose gateway calls."""
    return _half(request, shown, "gateway")


def clean(value: Any) -> Any:
    """JSON that every database can keep: no NUL, no half characters, not too deep."""
    _clean(value, 0)
    return value


def _clean(value: Any, depth: int) -> None:
    if depth > DEEPEST:
        raise ValueError(f"nested deeper than {DEEPEST} levels")
    if isinstance(value, str):
        _clean_text(value)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            _clean_text(key)
            _clean(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            _clean(inner, depth + 1)


def clean_text(value: str | None) -> str | None:
    """The same for one text of a path or query."""
    if value is not None:
        _clean_text(value)
    return value


def _clean_text(value: str) -> None:
    if "\0" in value:
        raise ValueError("holds a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError("holds half of a surrogate pair") from error


def _half(request: Request, shown: HTTPAuthorizationCredentials | None, half: str) -> str:
    if shown is None:
        raise Unauthenticated("Unauthenticated", "no signature came with the request", "Is the site enrolled?")
    return sites.authenticate(deps_of(request), shown.credentials, half)


Person = Annotated[Asked, Depends(person)]
Hands = Annotated[Deps, Depends(deps_of)]
AgentSite = Annotated[str, Depends(agent)]
GatewaySite = Annotated[str, Depends(gateway)]
Document = Annotated[dict[str, Json], Body(), AfterValidator(clean)]
Name = Annotated[str, Path(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}$")]
Version = Annotated[str, Path(pattern=r"^@?[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$")]
Text = Annotated[str | None, Query(max_length=1024), AfterValidator(clean_text)]
Needed = Annotated[str, Query(max_length=1024), AfterValidator(clean_text)]
After = Annotated[int, Query(ge=0, le=MOST)]
Limit = Annotated[int | None, Query(ge=1, le=1000)]
Wait = Annotated[float, Query(ge=0, le=60, allow_inf_nan=False)]


def span(asked: Asked, after: int, limit: int | None) -> tuple[int, int]:
    """(after, limit) with the server's page size as default."""
    return after, limit or min(asked.deps.settings.page_size, 1000)
