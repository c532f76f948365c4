"""/sites: what IT operations name, join and watch."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ferryml.control import instance_types, site_doctor, sites
from ferryml.control.ports import Json
from ferryml.server.auth import Document, Name, Person, Text, Wait, clean, clean_text

router = APIRouter(tags=["sites"])


class NewSite(BaseModel):
    """A site to be joined."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=255), AfterValidator(clean_text)]
    zone: Annotated[str, Field(max_length=255), AfterValidator(clean_text)] = ""
    """Where data of this site may be bound to; empty: the site's name."""
    settings: Annotated[dict[str, Json], AfterValidator(clean)] = {}


@router.post("/sites", status_code=201)
def create(asked: Person, wanted: NewSite) -> dict[str, Json]:
    """Name a site; the answer has its one-time join token and the command to run there."""
    return dict(sites.create(asked.deps, asked.caller, wanted.name, wanted.zone, wanted.settings))


@router.get("/sites")
def list_all(asked: Person) -> dict[str, Json]:
    """All sites with their state."""
    return {"items": sites.list_sites(asked.deps, asked.caller), "next": None}


@router.get("/sites/{name}")
def show(asked: Person, name: Name) -> dict[str, Json]:
    """One site: state, inventory, and work on it that the server does not know (`orphans`)."""
    return dict(sites.show(asked.deps, asked.caller, name))


@router.patch("/sites/{name}")
def update(asked: Person, name: Name, changes: Document) -> dict[str, Json]:
    """Change description or settings."""
    return dict(sites.update(asked.deps, asked.caller, name, changes))


@router.delete("/sites/{name}", status_code=204)
def delete(asked: Person, name: Name) -> Response:
    """Forget a site; its keys open nothing any more."""
    sites.delete(asked.deps, asked.caller, name)
    return Response(status_code=204)


@router.post("/sites/{name}/token", status_code=201)
def token(asked: Person, name: Name) -> dict[str, Json]:
    """A new one-time join token."""
    return dict(sites.new_join_token(asked.deps, asked.caller, name))


@router.post("/sites/{name}/doctor", status_code=202)
def examine(asked: Person, name: Name, again: bool = False) -> dict[str, Json]:
    """Ask the site to run every check, `again` also what only pods can show and has been tried before.

    `asked` of the answer goes into the question for its findings.
    """
    return dict(site_doctor.examine(asked.deps, asked.caller, name, again))


@router.get("/sites/{name}/doctor")
def findings(asked: Person, name: Name, question: Text = None, wait: Wait = 0) -> dict[str, Json]:
    """What the site's doctor found: each line ok, warning or failed, with its code and the fix."""
    return dict(site_doctor.findings(asked.deps, asked.caller, name, question or "", wait))


@router.get("/sites/{name}/instance-types")
def types(asked: Person, name: Name) -> dict[str, Json]:
    """Instance types of a site, and custom resources that its nodes suggest."""
    return dict(instance_types.of_site(asked.deps, asked.caller, name))
