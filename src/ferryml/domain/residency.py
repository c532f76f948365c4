"""What zone-bound data does to everything made from it: what it inherits, where it may be, what may leave."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from ferryml.domain.errors import Forbidden, Refused
from ferryml.domain.link import JournalEntry, LogChunk, MlflowCall, OutputRecord
from ferryml.domain.orders import Residency
from ferryml.domain.spec.data import Release

Matter = Literal["models", "metrics", "params", "logs", "artifacts"]
"""The kinds of things that work makes, each released by itself."""

ALL: tuple[Matter, ...] = get_args(Matter)
FREE = Residency()
MODEL_TYPES = frozenset({"custom_model", "mlflow_model", "triton_model"})


@dataclass(frozen=True, slots=True)
class Binding:
    """One input of some work and what binds it; empty `zones` = nothing does."""

    name: str
    zones: tuple[str, ...] = ()
    release: tuple[str, ...] = ()


def released(release: Release) -> tuple[Matter, ...]:
    """The kinds that the data's owner lets go, in the order of the language."""
    return tuple(matter for matter in ALL if getattr(release, matter) == "allow")


def inherited(bindings: Iterable[Binding]) -> Residency:
    """What work on all these inputs together is bound to: zones and releases that all bound ones share.

    Raises Refused `ResidencyViolation` when no zone may see all of them.
    """
    zones: tuple[str, ...] = ()
    release: tuple[str, ...] = ALL
    before: list[str] = []
    for binding in bindings:
        if not binding.zones:
            continue
        both = tuple(z for z in zones if z in binding.zones) if before else tuple(sorted(set(binding.zones)))
        if not both:
            raise Refused(
                "ResidencyViolation",
                f"no zone may hold both {' and '.join(before)} (bound to {', '.join(zones)}) and {binding.name} "
                f"(bound to {', '.join(binding.zones)})",
                "Use inputs that share a zone, or let the data's owner add one.",
                {"inputs": [*before, binding.name]},
            )
        zones = both
        release = tuple(matter for matter in release if matter in binding.release)
        before.append(binding.name)
    return Residency(zones=zones, release=release)


def may_be_in(residency: Residency, zone: str) -> bool:
    """Whether a place of this zone may see it."""
    return not residency.zones or zone in residency.zones


def may_leave(residency: Residency, matter: str) -> bool:
    """Whether things of this kind, made by such work, may leave its zones."""
    return not residency.zones or matter in residency.release


def of_output(residency: Residency, output_type: str) -> Residency:
    """What an output of this type is bound to: nothing once its kind is released."""
    return FREE if may_leave(residency, output_matter(output_type)) else residency


def output_matter(output_type: str) -> Matter:
    """`mlflow_model` is models, any other type of output is artifacts."""
    return "models" if output_type in MODEL_TYPES else "artifacts"


def check_entry(residency: Residency, entry: JournalEntry, output_types: dict[str, str]) -> None:
    """Raise Forbidden `ResidencyViolation` when an entry would carry out what is bound and not released."""
    if not residency.zones:
        return
    for matter in sorted(_matters(entry, output_types)):
        if matter not in residency.release:
            raise Forbidden(
                "ResidencyViolation",
                f"{matter} of this work are bound to {', '.join(residency.zones)} and not released",
                "They stay in the site; the data's owner may release them on the data asset.",
                {"zones": list(residency.zones), "kind": matter},
            )


def _matters(entry: JournalEntry, output_types: dict[str, str]) -> set[Matter]:
    item = entry.item
    if isinstance(item, LogChunk):
        return {"logs"}
    if isinstance(item, OutputRecord):
        return set() if item.bound else {output_matter(output_types.get(item.name, ""))}
    return mlflow_matters(item)


def mlflow_matters(call: MlflowCall) -> set[Matter]:
    """The kinds that one MLflow write carries; what is not known counts as artifacts, the strictest."""
    route = call.path.split("?", 1)[0].rstrip("/").rsplit("/mlflow/", 1)[-1]
    if "mlflow-artifacts" in call.path:
        return {"models"} if "/models/" in call.path else {"artifacts"}
    if route == "runs/log-batch":
        return _batch_matters(call)
    if route.startswith("logged-models/"):
        return {"models"}
    return set(_ROUTES.get(route, ("artifacts",)))


_ROUTES: dict[str, tuple[Matter, ...]] = {
    "runs/create": (), "runs/update": (), "runs/get": (), "runs/delete": (), "runs/restore": (),
    "runs/log-metric": ("metrics",), "runs/log-inputs": ("params",), "runs/outputs": (),
    "runs/log-parameter": ("params",), "runs/set-tag": ("params",), "runs/delete-tag": (),
    "runs/log-model": ("params",), "experiments/create": (), "experiments/get": (), "experiments/get-by-name": (),
    "logged-models": ("models",), "logged-models/search": (), "registered-models/create": ("models",),
    "model-versions/create": ("models",), "registered-models/get": (), "model-versions/get": (),
}  # fmt: skip


def _batch_matters(call: MlflowCall) -> set[Matter]:
    body = _json_body(call)
    if not isinstance(body, dict):
        return {"metrics", "params"}
    found: set[Matter] = set()
    if body.get("metrics"):
        found.add("metrics")
    if body.get("params") or body.get("tags"):
        found.add("params")
    return found


def _json_body(call: MlflowCall) -> Any:
    try:
        return json.loads(_decoded(call.body))
    except ValueError:
        return None


def _decoded(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
