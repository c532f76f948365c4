"""A wish and what became of it as objects of the cluster, and back: MLJob, OnlineEndpoint, a ConfigMap for the rest."""

from __future__ import annotations

import json
from typing import Any

from pydantic import ValidationError

from ferryml.backends.kubernetes.kinds import CONFIG_MAPS, ML_JOBS, ONLINE_ENDPOINTS, Kind
from ferryml.backends.kubernetes.kube import Manifest, annotations_of, meta, name_of, namespace_of
from ferryml.compile.kubernetes import labels as marks
from ferryml.compile.kubernetes.names import resource_name, uid_hash
from ferryml.domain.link import Wish
from ferryml.domain.orders import EndpointOrder, JobOrder
from ferryml.domain.seen import StoredStatus
from ferryml.domain.statuses import EndpointStatus, JobStatus

BURIED = f"{marks.GROUP}/buried"
"""Annotation: only the status counts, the wish was carried out and taken back."""
MISPLACED = f"{marks.GROUP}/misplaced"
"""Annotation: why it does not lie in the namespace that its order names."""
WISH_KIND = "wish"
WISHES = marks.selector({**marks.MANAGED, marks.KIND: WISH_KIND})


KINDS = {"job": ML_JOBS, "endpoint": ONLINE_ENDPOINTS}
"""Kinds of wish that people may look at."""
SHOWN = ("phase", "reason", "traffic")
"""What stands in a status for people alone."""


def kind_of(uid: str) -> Kind:
    """Where a wish lives."""
    return KINDS.get(uid.partition(".")[0], CONFIG_MAPS)


def body_of(wish: Wish, namespace: str, buried: bool = False, trouble: str = "") -> Manifest:
    """The object for a wish, without its status (a ConfigMap has no such part: see `with_status`)."""
    kind = kind_of(wish.uid)
    order = wish.order
    labels = {
        marks.MANAGED_BY: "ferry",
        marks.KIND: WISH_KIND if kind is CONFIG_MAPS else uid_kind(wish.uid),
        marks.UID: uid_hash(wish.uid),
    }
    if isinstance(order, JobOrder | EndpointOrder):
        labels |= {marks.WORKSPACE: marks.label_value(order.workspace), marks.COMPUTE: marks.label_value(order.compute)}
    notes = {marks.UID: wish.uid, marks.NAME: wish.uid.split(".", 2)[-1]}
    notes |= {BURIED: "true"} if buried else {}
    notes |= {MISPLACED: trouble} if trouble else {}
    body: Manifest = {
        "apiVersion": kind.api_version, "kind": kind.kind,
        "metadata": {
            "name": resource_name(wish.uid), "namespace": namespace, "labels": labels, "annotations": notes,
        },
    }  # fmt: skip
    if kind is CONFIG_MAPS:
        return body | {"data": {"wish": wish.model_dump_json(), "buried": "true" if buried else ""}}
    return body | {"spec": without_null(wish.model_dump(mode="json"))}


def status_body(stored: StoredStatus) -> dict[str, Any]:
    """The status of an MLJob or OnlineEndpoint: what people look for first at the top, the rest whole."""
    status = stored.status
    top: dict[str, Any] = {}
    if isinstance(status, JobStatus):
        top = {"phase": status.phase, "reason": status.reason}
    elif isinstance(status, EndpointStatus):
        top = {"phase": status.state, "reason": status.reason, "traffic": traffic_words(status)}
    elif status is not None:
        # taken back by the server; people still want to see how it ended
        track = stored.memory.get("track") or {}
        top = {"phase": track.get("phase") or "Gone", "reason": track.get("reason") or ""}
    known = without_null(stored.model_dump(mode="json", exclude={"uid"}))
    return {**known, **top}


def traffic_words(status: EndpointStatus) -> str:
    """`blue=90 green=10`: what answers now, by deployment."""
    names = {one.revision: one.deployment for one in status.revisions}
    shares: dict[str, int] = {}
    for revision, percent in status.weights.items():
        name = names.get(revision, revision)
        shares[name] = shares.get(name, 0) + percent
    return " ".join(f"{name}={percent}" for name, percent in sorted(shares.items()))


def uid_kind(uid: str) -> str:
    return uid.partition(".")[0]


def wish_of(body: Manifest) -> Wish | None:
    """None for what is no wish (any more), or cannot be read: made by hand, or by a newer version."""
    if annotations_of(body).get(BURIED):
        return None
    try:
        if "data" in body:
            return Wish.model_validate_json(body["data"]["wish"])
        return Wish.model_validate({"order": None, **(body.get("spec") or {})})
    except (ValidationError, KeyError):
        return None


def status_of(body: Manifest) -> StoredStatus | None:
    """None when nothing was decided yet."""
    try:
        if "data" in body:
            text = body["data"].get("status")
            return StoredStatus.model_validate_json(text) if text else None
        known = dict(body.get("status") or {})
        if not known.get("generation") and not known.get("version"):
            return None
        for extra in SHOWN:
            known.pop(extra, None)
        return StoredStatus.model_validate({**known, "uid": uid_of(body)})
    except ValidationError:
        return None


def uid_of(body: Manifest) -> str:
    return str(annotations_of(body).get(marks.UID) or (body.get("spec") or {}).get("uid") or "")


def is_whole(body: Manifest) -> bool:
    """Whether it is what its uid says: a wish is found under one name only."""
    uid = uid_of(body)
    return bool(uid) and name_of(body) == resource_name(uid) and (body.get("spec") or {"uid": uid}).get("uid") == uid


def is_elsewhere(body: Manifest) -> bool:
    """Whether it wants pods in a namespace that is not its own: nobody gets there what they may not do there."""
    order = (body.get("spec") or {}).get("order") or {}
    return bool(order) and order.get("namespace") != namespace_of(body) and not annotations_of(body).get(MISPLACED)


def owner_of(body: Manifest) -> Manifest:
    """The reference that ties what a job makes to its MLJob; goes with it."""
    return {
        "apiVersion": body["apiVersion"], "kind": body["kind"], "name": name_of(body), "uid": meta(body)["uid"],
        "controller": False, "blockOwnerDeletion": False,
    }  # fmt: skip


def place_of(body: Manifest) -> tuple[str, str]:
    return namespace_of(body), name_of(body)


def text_of(stored: StoredStatus) -> str:
    return json.dumps(stored.model_dump(mode="json"))


def without_null(value: Any) -> Any:
    """The API server drops nulls in its own ways; what is absent is the same for us."""
    if isinstance(value, dict):
        return {key: without_null(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [without_null(inner) for inner in value]
    return value
