"""The server as one ASGI application, from the use cases and the routers that it is handed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.types import ASGIApp

from ferryml.control.context import Deps
from ferryml.control.gateway import TreeMemory
from ferryml.server import documents, errors
from ferryml.server.limits import Guarded
from ferryml.server.routes import (
    agent,
    artifacts,
    assets,
    automations,
    computes,
    connections,
    endpoints,
    gateway,
    jobs,
    memory,
    meta,
    rollouts,
    sites,
    tokens,
    webhooks,
    workspaces,
)

ROUTERS: tuple[APIRouter, ...] = (
    meta.open_router, meta.router, workspaces.router, tokens.router, sites.router, computes.router, assets.router,
    jobs.router, connections.router, endpoints.router, rollouts.router, automations.router, webhooks.router,
    artifacts.router, memory.router, memory.server_wide,
)  # fmt: skip
"""Below /api/v1; a noun of its own adds its router here."""

LINK: tuple[APIRouter, ...] = (agent.router, gateway.router, connections.site_router)
ABOUT = "Jobs, models and endpoints on any cluster: what the `ferry` command, agents and gateways of sites speak."
THREADS = 256
"""Requests at work at once; a long poll holds one of them."""
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": errors.ErrorAnswer} for status in (400, 401, 403, 404, 409, 413, 503)
}


def make_app(deps: Deps, mounts: Mapping[str, ASGIApp] | None = None) -> FastAPI:
    """The application; `mounts` are whole programs below a path, such as MLflow at /mlflow."""
    app = FastAPI(
        title="Ferry", version=meta.VERSION, lifespan=_lifespan, responses=ERRORS, docs_url=None, redoc_url=None,
        generate_unique_id_function=lambda route: f"{(route.tags or ['server'])[0]}_{route.name}",
    )  # fmt: skip
    app.state.deps = deps
    app.state.trees = TreeMemory()
    for router in ROUTERS:
        app.include_router(router, prefix="/api/v1")
    for router in (meta.open_router, *LINK):
        app.include_router(router, include_in_schema=router is not meta.open_router)
    for path, program in (mounts or {}).items():
        app.mount(path, program)
    errors.install(app)
    app.add_middleware(Guarded, new_id=lambda: deps.dice.id(16), limit=_limits(deps, mounts or {}))
    app.openapi = lambda: openapi(app)  # type: ignore[method-assign]
    return app


def openapi(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document: as generated, but bad input is 400 here and never 422."""
    if app.openapi_schema is None:
        made = get_openapi(title=app.title, version=app.version, routes=app.routes, description=ABOUT)
        for operation in (o for path in made["paths"].values() for o in path.values()):
            operation["responses"].pop("422", None)
        for name in ("HTTPValidationError", "ValidationError"):
            made["components"]["schemas"].pop(name, None)
        documents.describe(made)
        app.openapi_schema = made
    return app.openapi_schema


def _limits(deps: Deps, mounts: Iterable[str]) -> Callable[[str], int | None]:
    """Most bytes of a body by path."""
    small, part = deps.settings.max_body_bytes, 4 * deps.settings.upload_part_bytes
    free = tuple(f"{path}/" for path in mounts)

    def limit(path: str) -> int | None:
        if path.startswith(free) or path in mounts:
            return None
        parts = "/uploads/" in path or path.startswith("/gateway/v1/mlflow/")
        return max(small, part) if parts else small

    return limit


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
    yield
