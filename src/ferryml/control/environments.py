"""Environments: from a reference, an alias or an inline document to an order that a site can carry out."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

from ferryml.compile.environment import build_words, environment_order, ingredients_hash, lock_answers, with_key
from ferryml.control import artifacts
from ferryml.control.contents import Contents, node_of
from ferryml.control.context import SYSTEM, Deps, Turn, changed, turn
from ferryml.control.ports import Row
from ferryml.control.rows import need_workspace, parsed
from ferryml.domain.aliases import resolve_environment, resolve_image
from ferryml.domain.errors import Conflict, Refused
from ferryml.domain.orders import BuildOrder, EnvironmentOrder
from ferryml.domain.refs import AssetRef, asset_ref
from ferryml.domain.spec.environment import Build, Environment
from ferryml.domain.spec.workspace import Aliases, Workspace

ANONYMOUS = "anonymous"
"""Name of environments written inline; their version is a hash of what is in them."""


def order(deps: Deps, workspace: str, wanted: Environment | str) -> EnvironmentOrder:
    """The order for an environment; its `name` is the lineage node, its lock what an earlier preparation made.

    Raises Refused (`BadReference`, `BadValue`, `NotSupported`), NotFound.
    """
    with deps.store.read() as tx:
        aliases = Workspace.model_validate(need_workspace(tx, workspace).spec).aliases
        names = {row.name for row in tx.find("environment", workspace=workspace, name=_name(wanted), limit=1)}
    if isinstance(wanted, str):
        wanted = resolve_environment(wanted, aliases, names)
    if isinstance(wanted, Environment):
        return _anonymous(deps, workspace, wanted, aliases)
    ref = asset_ref(wanted)
    if not isinstance(ref, AssetRef):
        raise Refused("NotSupported", f"{wanted} is of a registry that is not known here", "Add an alias for it.")
    contents = Contents(deps, workspace)
    row = contents.row(ref, ("environment",))
    return compiled(contents, parsed(Environment, row.spec), aliases, node_of(row), _lock(row))


def compiled(
    contents: Contents, spec: Environment, aliases: Aliases, node: str = "", lock: str = ""
) -> EnvironmentOrder:
    """The order of one spec. Raises Refused (`BadReference`, `BadValue`, `FileNotFound`), NotFound."""
    if isinstance(spec.conda_file, str):
        raise Refused(
            "BadReference", f"conda_file {spec.conda_file!r} was not sent along",
            "The `ferry` command sends its content; over REST write the content inline.",
        )  # fmt: skip
    routes = spec.inference_config.model_dump(mode="json") if spec.inference_config else None
    return environment_order(
        name=node, image=resolve_image(spec.image, aliases) if spec.image else "", conda_file=spec.conda_file,
        pip_requirements=spec.pip_requirements, inference_config=routes, lock=lock,
        build=_build(contents, spec.build) if spec.build is not None else None,
    )  # fmt: skip


def _build(contents: Contents, asked: Build) -> BuildOrder:
    """Its folder and its Dockerfile are there."""
    tree = contents.of(asked.path, ("code",)).tree
    if tree is None or tree.kind != "tree":
        raise Refused(
            "BadReference", f"build.path {asked.path[:200]!r} is no uploaded folder",
            "Give a local folder: the `ferry` command uploads it.",
        )  # fmt: skip
    dockerfile = posixpath.normpath(asked.dockerfile_path)
    names = [entry.path for entry in artifacts.manifest(contents.deps, contents.workspace, tree.digest).entries]
    if dockerfile not in names:
        raise Refused(
            "FileNotFound", f"build.dockerfile_path {asked.dockerfile_path[:200]!r} is not in the folder build.path",
            "It is relative to build.path; see .amlignore, too.",
        )  # fmt: skip
    return BuildOrder(context=tree, dockerfile=dockerfile)


def keep_lock(now: Turn, workspace: str, order_: EnvironmentOrder, lock: str) -> None:
    """Store what the first preparation resolved to; later sites install exactly that."""
    row = _asset(now, workspace, order_)
    if row is None or row.status.get("lock") or not lock or not lock_answers(lock, order_):
        return
    now.tx.update(row.model_copy(update={"status": {**row.status, "lock": lock}}))
    now.event(workspace, "environment.locked", node_of(row))


def keep_image(now: Turn, workspace: str, order_: EnvironmentOrder, site: str, image: str) -> None:
    """Remember which image a site has built for a version; people see it there, the site itself knows it."""
    row = _asset(now, workspace, order_)
    images = dict((row.status.get("images") or {}) if row is not None else {})
    if row is None or not image or images.get(site) == image:
        return
    now.tx.update(row.model_copy(update={"status": {**row.status, "images": {**images, site: image}}}))
    now.event(workspace, "environment.built", node_of(row), {"site": site, "image": image})


def _asset(now: Turn, workspace: str, order_: EnvironmentOrder) -> Row | None:
    kind, _, rest = order_.name.partition(":")
    name, _, version = rest.rpartition(":")
    return now.tx.get("environment", workspace, name, version) if kind == "environment" and name else None


def _anonymous(deps: Deps, workspace: str, spec: Environment, aliases: Aliases) -> EnvironmentOrder:
    plain = compiled(Contents(deps, workspace), spec, aliases)
    base = build_words(plain.build) if plain.build is not None else plain.image
    version = ingredients_hash(plain.model_copy(update={"python": f"{plain.python} {base}"}))[:32]
    with deps.store.read() as tx:
        row = tx.get("environment", workspace, ANONYMOUS, version)
    if row is None:
        row = _register(deps, workspace, version, spec)
    return with_key(plain.model_copy(update={"name": node_of(row), "lock": _lock(row)}))


def _lock(row: Row) -> str:
    return str(row.status.get("lock") or "")


def _register(deps: Deps, workspace: str, version: str, spec: Environment) -> Row:
    document: dict[str, Any] = {**spec.model_dump(mode="json"), "name": ANONYMOUS, "version": version}
    row = Row(
        kind="environment", workspace=workspace, name=ANONYMOUS, version=version, spec=document, archived=True,
        created_by=SYSTEM.name, labels={ANONYMOUS: "yes"},
    )  # fmt: skip
    try:
        with turn(deps) as now:
            return now.tx.insert(row)
    except Conflict:
        return row


def _name(wanted: Environment | str) -> str:
    if isinstance(wanted, Environment):
        return ""
    ref = asset_ref(wanted)
    return ref.name


def set_lock(deps: Deps, workspace: str, order_: Mapping[str, Any], lock: str) -> None:
    """`keep_lock` in a transaction of its own, for an order as it was stored."""
    changed(deps, lambda now: keep_lock(now, workspace, EnvironmentOrder.model_validate(order_), lock))
