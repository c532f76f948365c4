"""The traffic in instance types: read from clusters, chosen by jobs, held against nodes, proposed to IT."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Literal

from pydantic import ValidationError

from ferryml.domain.errors import Refused
from ferryml.domain.quantities import amount
from ferryml.domain.spec.instance_type import (
    BUILT_IN,
    DEFAULT_TYPE,
    LIMITS_ONLY,
    InstanceType,
    InstanceTypeItem,
    InstanceTypeSpec,
    TypeResources,
)

Json = Any
Origin = Literal["ferry", "amlarc"]
ALIAS_GROUP = "amlarc.azureml.com"
LIST = "InstanceTypeList"


def read(document: Mapping[str, Json]) -> tuple[InstanceType, ...]:
    """The types of a manifest: one InstanceType, or an InstanceTypeList whose items may lack kind and apiVersion.

    Raises:
        Refused: BadValue naming the place in the document.
    """
    if document.get("kind") == LIST:
        items = document.get("items") or ()
        group = str(document.get("apiVersion") or "")
        return tuple(_read_one({"apiVersion": group, **item}, f"items[{index}]") for index, item in enumerate(items))
    return (_read_one(document, ""),)


def table(objects: Iterable[Mapping[str, Json]]) -> tuple[dict[str, InstanceType], tuple[str, ...]]:
    """Types by name, the built-in one among them, and in words what was left out.

    Args:
        objects: custom resources of both groups. A type of Ferry's own group comes before one of the alias group.
    """
    found: dict[str, InstanceType] = {DEFAULT_TYPE: BUILT_IN}
    faults: list[str] = []
    known = sorted(objects, key=lambda item: not str(item.get("apiVersion", "")).startswith(ALIAS_GROUP))
    for item in known:
        try:
            for kind in read(item):
                found[kind.name] = kind
        except Refused as refused:
            name = (item.get("metadata") or {}).get("name", "?")
            faults.append(f"instance type {name} is left out: {refused.message}")
    return found, tuple(faults)


def to_inventory(types: Mapping[str, InstanceType]) -> dict[str, Json]:
    """As the heartbeat's inventory carries them."""
    return {name: {**kind.spec.manifest(), "origin": kind.origin} for name, kind in sorted(types.items())}


def of_inventory(told: Json) -> dict[str, InstanceType]:
    """As the heartbeat told of them; what cannot be read is left out, and the default is always there."""
    found: dict[str, InstanceType] = {DEFAULT_TYPE: BUILT_IN}
    for name, item in told.items() if isinstance(told, Mapping) else ():
        if not isinstance(item, Mapping):
            continue
        spec = {key: value for key, value in item.items() if key != "origin"}
        try:
            found[name] = InstanceType.model_validate(
                {"name": name, "spec": InstanceTypeSpec.model_validate(spec), "origin": item.get("origin", "ferry")}
            )
        except ValidationError:
            continue
    return found


def choose(types: Mapping[str, InstanceType], name: str) -> InstanceType:
    """The type of that name, the default for an empty one; raises Refused `InvalidInstanceType`."""
    kind = types.get(name or DEFAULT_TYPE)
    if kind is not None:
        return kind
    near = get_close_matches(name, types, n=1, cutoff=0.5)
    raise Refused(
        "InvalidInstanceType",
        f"there is no instance type {name!r}; there are {', '.join(sorted(types))}",
        f"Did you mean {near[0]}?" if near else "IT makes one with kubectl apply; see `ferry instance-type list`.",
        {"instance_type": name, "known": sorted(types)},
    )


def with_resources(kind: InstanceType, given: Mapping[str, Mapping[str, str]]) -> InstanceType:
    """The type with a deployment's own `resources` put in; itself when there are none.

    Raises:
        Refused: BadArgument when they contradict each other or exceed the type.
    """
    if not given:
        return kind
    requests, asked = dict(given.get("requests") or {}), dict(given.get("limits") or {})
    limits = asked or dict(kind.spec.resources.limits)
    for key, value in requests.items():
        if LIMITS_ONLY in key:
            limits.setdefault(key, value)
    for key, value in limits.items():
        most = kind.spec.resources.limits.get(key)
        if _exceeds(value, most):
            held = f"{most} of instance type {kind.name}" if most else f"none, which instance type {kind.name} gives"
            raise Refused(
                "BadArgument", f"resources.limits.{key} {value} is more than {held}",
                "Ask for less, or choose a larger instance type.",
            )  # fmt: skip
    for key, value in requests.items():
        if key not in limits or _exceeds(value, limits[key]):
            raise Refused(
                "BadArgument",
                f"resources.requests.{key} {value} is more than the limit {limits.get(key, '0')}",
                "Lower the request, raise the limit, or choose a larger instance type.",
            )
    try:
        resources = TypeResources(requests=requests, limits={**kind.spec.resources.limits, **limits})
    except ValidationError as error:
        raise Refused("BadArgument", f"resources: {error.errors()[0]['msg']}", "Correct resources.") from error
    return kind.model_copy(update={"spec": kind.spec.model_copy(update={"resources": resources})})


def _exceeds(value: str, most: str | None) -> bool:
    try:
        return amount(value) > amount(most)
    except ValueError as error:
        raise Refused("BadArgument", f"resources: {error}", "Write 500m, 2, 1500Mi or 4Gi.") from error


def _read_one(document: Mapping[str, Json], where: str) -> InstanceType:
    try:
        item = InstanceTypeItem.model_validate(dict(document))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in (where, *first["loc"]) if part != "")
        raise Refused(
            "BadValue", f"{place}: {first['msg']}" if place else str(first["msg"]), "See the documentation's example."
        ) from error
    origin: Origin = "amlarc" if item.api_version.startswith(ALIAS_GROUP) else "ferry"
    return InstanceType(name=item.metadata.name, spec=item.spec, origin=origin)
