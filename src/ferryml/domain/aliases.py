"""Aliases: what computes, environments and images that documents of elsewhere name mean in this workspace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import TypeVar

from ferryml.domain.curated import CURATED
from ferryml.domain.errors import Refused
from ferryml.domain.refs import AssetRef, RegistryRef, asset_ref, parse_ref
from ferryml.domain.spec.environment import Environment
from ferryml.domain.spec.workspace import Aliases

CURATED_REGISTRIES = frozenset({"azureml", "azureml-staging", "azureml-msr", "ferry"})
"""Registries whose environments the shipped table stands in for."""

_MAX_HOPS = 8
T = TypeVar("T")


def resolve_compute(name: str, aliases: Aliases) -> str:
    """The compute that `name` means; itself when no alias says otherwise."""
    return _follow(name, aliases.compute, "compute")


def resolve_image(image: str, aliases: Aliases) -> str:
    """The image to pull instead; a pattern that ends in `*` on both sides keeps the rest of the name."""
    for pattern, target in aliases.image.items():
        if pattern.endswith("*") and target.endswith("*") and image.startswith(pattern[:-1]):
            return target[:-1] + image[len(pattern) - 1 :]
    found = _match(aliases.image, [image])
    return image if found is None else found


def resolve_environment(reference: str, aliases: Aliases, registered: Iterable[str] = ()) -> Environment | str:
    """What an environment reference means: an inline environment, or a reference to a registered one.

    Args:
        reference: `azureml:NAME:VERSION`, `azureml:NAME@LABEL` or `azureml://registries/...`.
        registered: names of the workspace's own environments; they come before the shipped stand-ins.

    Raises:
        Refused: `NotFound` for a curated environment that has no stand-in, naming the nearest ones.
    """
    for _ in range(_MAX_HOPS):
        target = _match(aliases.environment, _spellings(reference))
        if target is None:
            return _shipped(reference, frozenset(registered))
        if isinstance(target, Environment):
            return target
        if target == reference:
            return reference
        reference = target
    raise _circle("environment", reference)


def is_curated(reference: str) -> bool:
    """Whether a reference names an environment of the shipped kind rather than one of the workspace."""
    ref = parse_ref(reference)
    if isinstance(ref, RegistryRef):
        return ref.registry.lower() in CURATED_REGISTRIES
    return isinstance(ref, AssetRef) and ref.name.lower().startswith("azureml-")


def _shipped(reference: str, registered: frozenset[str]) -> Environment | str:
    ref = asset_ref(reference)
    if isinstance(ref, AssetRef) and ref.name in registered:
        return reference
    if not is_curated(reference):
        return reference
    found = _match(CURATED, [_bare(ref.name)])
    if found is not None:
        return found
    names = [pattern.strip("*-") for pattern in CURATED]
    near = get_close_matches(_bare(ref.name), names, n=3, cutoff=0.3) or names[:3]
    raise Refused(
        "NotFound",
        f"there is no stand-in for the curated environment {ref.name!r}; the nearest are {', '.join(near)}",
        "Add an alias for it to the workspace (`aliases.environment`), or write the environment inline.",
        {"environment": ref.name, "nearest": near},
    )


def _bare(name: str) -> str:
    return name.lower().removeprefix("azureml-")


def _spellings(reference: str) -> list[str]:
    ref = asset_ref(reference)
    return [reference, str(ref), ref.name]


def _match(table: Mapping[str, T], names: list[str]) -> T | None:
    for name in names:
        if name in table:
            return table[name]
    for pattern, target in table.items():
        plain = pattern.removeprefix("azureml:").removeprefix("ferry:")
        if any(fnmatchcase(name, pattern) or fnmatchcase(name, plain) for name in names):
            return target
    return None


def _follow(name: str, table: Mapping[str, str], noun: str) -> str:
    for _ in range(_MAX_HOPS):
        target = _match(table, [name])
        if target is None or target == name:
            return name
        name = target
    raise _circle(noun, name)


def _circle(noun: str, name: str) -> Refused:
    return Refused("BadReference", f"the {noun} aliases of the workspace lead in a circle at {name!r}", "Mend them.")
