"""/datas, /models, /environments, /codes, /components: one set of routes for all versioned things."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from ferryml.control import assets, environment_builds
from ferryml.control.contents import AssetKind
from ferryml.control.ports import Json
from ferryml.server.auth import After, Document, Limit, Name, Person, Text, Version, span

Archived = Literal["no", "yes", "any"]
KINDS: dict[str, AssetKind] = {
    "datas": "data", "models": "model", "environments": "environment", "codes": "code", "components": "component",
}  # fmt: skip


def make() -> APIRouter:
    """Routes for each plural, so that every one stands in the OpenAPI document."""
    router = APIRouter(prefix="/workspaces/{workspace}")
    for plural, kind in KINDS.items():
        _add(router, plural, kind)
    path = "/environments/{name}/versions/{version}/build"
    words = "Build its image on a compute's site, or prepare its packages there; answers the job that does"
    router.post(path, status_code=201, summary=words, tags=["environments"])(_build)
    return router


class BuildSaid(BaseModel):
    """Body of a build."""

    model_config = ConfigDict(extra="forbid")
    compute: str = Field(min_length=1, max_length=255, description="Compute whose site is to build it.")


def _build(asked: Person, workspace: Name, name: Name, version: Version, said: BuildSaid) -> dict[str, Json]:
    compute = said.compute.removeprefix("azureml:")
    return dict(environment_builds.build(asked.deps, asked.caller, workspace, name, version, compute))


def _add(router: APIRouter, plural: str, kind: AssetKind) -> None:
    one = f"/{plural}/{{name}}/versions/{{version}}"

    def create(asked: Person, workspace: Name, document: Document) -> dict[str, Json]:
        return dict(assets.create(asked.deps, asked.caller, workspace, kind, document))

    def list_all(
        asked: Person, workspace: Name, name: Text = None, archived: Archived = "no", after: After = 0,
        limit: Limit = None,
    ) -> dict[str, Json]:  # fmt: skip
        pages = span(asked, after, limit)
        return assets.list_assets(asked.deps, asked.caller, workspace, kind, name, archived, pages)

    def show(asked: Person, workspace: Name, name: Name, version: Version) -> dict[str, Json]:
        return dict(assets.show(asked.deps, asked.caller, workspace, kind, name, version))

    def update(asked: Person, workspace: Name, name: Name, version: Version, changes: Document) -> dict[str, Json]:
        return dict(assets.update(asked.deps, asked.caller, workspace, (kind, name, version), changes))

    def archive(asked: Person, workspace: Name, name: Name, version: Version) -> dict[str, Json]:
        return dict(assets.archive(asked.deps, asked.caller, workspace, (kind, name, version)))

    def restore(asked: Person, workspace: Name, name: Name, version: Version) -> dict[str, Json]:
        return dict(assets.archive(asked.deps, asked.caller, workspace, (kind, name, version), archived=False))

    router.post(f"/{plural}", status_code=201, summary=f"Create a version of {kind}", tags=[plural])(create)
    router.get(f"/{plural}", summary=f"List versions of {kind}, newest first", tags=[plural])(list_all)
    router.get(one, summary=f"Show a version of {kind}; @latest and @LABEL work", tags=[plural])(show)
    router.patch(one, summary="Change description, tags, properties, stage or labels", tags=[plural])(update)
    router.post(f"{one}/archive", summary="Hide a version", tags=[plural])(archive)
    router.post(f"{one}/restore", summary="Show a hidden version again", tags=[plural])(restore)


router = make()
