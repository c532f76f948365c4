"""What a deployment wants recorded of its requests, answers and script, as a site is told it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from ferryml.control import datastores
from ferryml.control.context import Deps
from ferryml.domain.errors import Refused
from ferryml.domain.orders import CollectionOrder, DatastorePath, Residency
from ferryml.domain.refs import DatastoreRef, parse_ref
from ferryml.domain.residency import may_leave
from ferryml.domain.spec.deployment import Collection, DataCollector

BUILT_IN: tuple[Literal["request", "response"], ...] = ("request", "response")
"""Collections that need no word in the scoring script."""
MOST = 20
_NAME = re.compile(r"[A-Za-z0-9][-_A-Za-z0-9]{0,63}")
LOCAL = ("local",)
BUCKETS = ("s3", "gcs", "azure_blob", "azure_data_lake_gen2")
"""Types of datastores that the gateway of a local site, and that of a cluster, reads and writes by itself."""
_SCRIPTLESS = ("triton", "mlflow")
"""Flavors whose program is nobody's to change."""


def collection_order(asked: DataCollector | None) -> CollectionOrder | None:
    """None when nothing is recorded. Raises Refused (`BadName`, `BadValue`, `LimitExceeded`, `NotSupported`)."""
    enabled = {name: one for name, one in (asked.collections if asked else {}).items() if one.enabled}
    if asked is None or not enabled:
        return None
    own = {name: one for name, one in enabled.items() if name not in BUILT_IN}
    _check_names(own)
    for name, one in enabled.items():
        _check(name, one)
    headers = asked.request_logging.capture_headers if asked.request_logging else ()
    return CollectionOrder(
        sampling_rate=asked.sampling_rate, rolling=asked.rolling_rate,
        collections=tuple(name for name in BUILT_IN if name in enabled),
        headers=tuple(sorted({header.lower() for header in headers} - {"authorization"})),
        script={name: _share(asked, one) for name, one in sorted(own.items())},
    )  # fmt: skip


def check_flavor(order: CollectionOrder | None, flavor: str) -> None:
    """Raises Refused `NotSupported` where no script of the user's could collect anything."""
    if order is not None and order.script and flavor in _SCRIPTLESS:
        raise Refused(
            "NotSupported", f"collection {min(order.script)!r} is made by a scoring script, and there is none here",
            f"Bring code_configuration, or enable {' and '.join(BUILT_IN)}: those need no script.",
        )  # fmt: skip


def wants_new_revision(old: DataCollector | None, new: DataCollector | None) -> bool:
    """Whether what runs cannot take the change on: programs read at their start what to collect, and where records may
    go is decided with the place that they are of."""
    before, after = collection_order(old), collection_order(new)
    scripts = [(one.script, one.rolling) if one is not None and one.script else None for one in (before, after)]
    return scripts[0] != scripts[1] or paths(old) != paths(new)


def paths(asked: DataCollector | None) -> dict[str, str]:
    """Collection -> the datastore path that it names."""
    known = (asked.collections if asked else {}).items()
    return {name: one.data.path for name, one in known if one.enabled and one.data is not None and one.data.path}


def places(
    deps: Deps, workspace: str, asked: DataCollector | None, residency: Residency, backend: str
) -> tuple[dict[str, DatastorePath], dict[str, str]]:
    """(collection -> where its records go, what is bound to one site -> that site).

    Raises NotFound, Refused (`BadReference`, `NotSupported`, `ResidencyViolation`).
    """
    found: dict[str, DatastorePath] = {}
    only: dict[str, str] = {}
    for name, path in paths(asked).items():
        ref = parse_ref(path)
        if not isinstance(ref, DatastoreRef):
            raise Refused(
                "BadReference", f"collection {name!r}: {path[:200]!r} is not a datastore path",
                "Write azureml://datastores/NAME/paths/PATH, or leave path out.",
            )  # fmt: skip
        with deps.store.read() as tx:
            found[name], zone, site = datastores.reach(tx, workspace, ref.datastore, ref.path)
        _check_place(name, found[name], zone, residency, backend)
        if site:
            only[f"collection {name}"] = site
    return found, only


def is_declared(spec: Mapping[str, Any], collection: str) -> bool:
    """Whether a deployment as it is kept has a collection of that name, enabled or not."""
    return collection in BUILT_IN or collection in ((spec.get("data_collector") or {}).get("collections") or {})


def _check_place(name: str, place: DatastorePath, zone: str, residency: Residency, backend: str) -> None:
    known = LOCAL if backend == "local" else BUCKETS
    if place.kind not in known:
        raise Refused(
            "NotSupported", f"collection {name!r}: the site's gateway writes to no datastore of type {place.kind}",
            f"Name one of type {' or '.join(known)}, or leave path out.",
        )  # fmt: skip
    if residency.zones and zone not in residency.zones and not may_leave(residency, "artifacts"):
        where = f"in zone {zone}" if zone else "in no zone"
        raise Refused(
            "ResidencyViolation",
            f"collection {name!r} would be written {where}, and the model is bound to {', '.join(residency.zones)}",
            "Name a datastore of that zone, leave path out, or let the data's owner release artifacts.",
        )  # fmt: skip


def _share(asked: DataCollector, one: Collection) -> float:
    return asked.sampling_rate if one.sampling_rate is None else one.sampling_rate


def _check_names(own: Mapping[str, Collection]) -> None:
    seen: set[str] = set()
    for name in own:
        if not _NAME.fullmatch(name):
            raise Refused("BadName", f"{name[:80]!r} cannot name a collection", "Use letters, digits, - and _.")
        if name.lower() in seen or name.lower() in BUILT_IN:
            raise Refused(
                "BadName", f"two collections are called {name.lower()!r}: capitals make no difference", "Rename one."
            )
        seen.add(name.lower())
    if len(own) > MOST:
        raise Refused("LimitExceeded", f"a scoring script makes at most {MOST} collections", "Put some together.")


def _check(name: str, one: Collection) -> None:
    if name in BUILT_IN and one.sampling_rate is not None:
        raise Refused(
            "BadValue", f"collection {name!r} has a sampling_rate of its own: request and response are drawn together",
            "Set data_collector.sampling_rate.",
        )  # fmt: skip
