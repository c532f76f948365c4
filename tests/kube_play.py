"""An API server in memory: `Kube` for unit tests; held to the same contract as the real one."""

from __future__ import annotations

import copy
import itertools
import queue
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ferryml.backends.kubernetes.api import _KINDS
from ferryml.backends.kubernetes.kinds import NAMESPACES, Kind
from ferryml.backends.kubernetes.kube import Change, Expired, Listing, Manifest, Propagation, Reviewed, meta, name_of
from ferryml.domain.errors import Conflict, FerryError, NotFound, Refused, Unavailable

Place = tuple[Kind, str, str]
CORE_FIELDS = {"apiVersion", "kind", "metadata"}
FIELDS = {"ConfigMap": {"data", "binaryData", "immutable"}, "Secret": {"data", "stringData", "type", "immutable"}}


@dataclass
class PlayKube:
    """One cluster. `away` makes it answer nothing; `log` holds (verb, kind, name) of each write."""

    namespaces: set[str] = field(default_factory=lambda: {"default"})
    away: bool = False
    log: list[tuple[str, str, str]] = field(default_factory=list)
    refusals: dict[tuple[str, str], FerryError] = field(default_factory=dict)
    """(verb, kind) -> what such a write is answered with."""
    tokens: dict[str, Reviewed] = field(default_factory=dict)
    pod_logs: dict[tuple[str, str, str], bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._lock = threading.RLock()
        self._bodies: dict[Place, Manifest] = {}
        self._applied: dict[Place, Manifest] = {}
        self._history: list[tuple[int, Kind, str, Change]] = []
        self._version = itertools.count(1)
        self._now = 0
        self._uids = itertools.count(1)
        self._watches: list[PlayWatch] = []
        self.forgotten = 0
        """Versions up to here are not in the history any more."""

    def get(self, kind: Kind, namespace: str, name: str) -> Manifest | None:
        with self._lock:
            self._check_there()
            found = self._bodies.get((kind, namespace if kind.namespaced else "", name))
            return copy.deepcopy(found)

    def list(self, kind: Kind, namespace: str = "", labels: str = "", fields: str = "") -> Listing:
        with self._lock:
            self._check_there()
            found = [
                copy.deepcopy(body)
                for (one, where, _), body in sorted(self._bodies.items(), key=lambda item: item[0][1:])
                if one == kind and namespace in ("", where) and _labelled(body, labels) and _fielded(body, fields)
            ]
            return Listing(tuple(found), str(self._now))

    def watch(self, kind: Kind, namespace: str = "", since: str = "", labels: str = "", fields: str = "") -> PlayWatch:
        with self._lock:
            watch = PlayWatch(self, kind, namespace, (labels, fields), int(since or 0))
            self._watches.append(watch)
            return watch

    def apply(self, body: Manifest) -> Manifest:
        kind, place = _place(body)
        with self._lock:
            self._may("apply", kind, body)
            unknown = set(body) - CORE_FIELDS - FIELDS.get(kind.kind, {"spec", "data"})
            if unknown:
                raise Refused("ClusterRefused", f".{unknown.pop()}: field not declared in schema")
            before = self._bodies.get(place)
            mine = {key: value for key, value in body.items() if key not in ("status",)}
            merged = _merge(before or {}, mine, self._applied.get(place, {}))
            self._applied[place] = copy.deepcopy(mine)
            return self._store(place, before, merged)

    def create(self, kind: Kind, body: Manifest) -> Manifest:
        place = (kind, meta(body).get("namespace", "") if kind.namespaced else "", name_of(body))
        with self._lock:
            self._may("create", kind, body)
            if place in self._bodies:
                raise Conflict("AlreadyExists", f"{name_of(body)} already exists", details={"status": 409})
            return self._store(place, None, copy.deepcopy(body))

    def replace(self, kind: Kind, body: Manifest) -> Manifest:
        place = (kind, meta(body).get("namespace", "") if kind.namespaced else "", name_of(body))
        with self._lock:
            self._may("replace", kind, body)
            before = self._need(place)
            version = meta(body).get("resourceVersion")
            if version and version != meta(before)["resourceVersion"]:
                raise Conflict("VersionConflict", f"{name_of(body)} has been modified", details={"status": 409})
            return self._store(place, before, copy.deepcopy(body))

    def patch_status(self, kind: Kind, namespace: str, name: str, status: Mapping[str, Any], uid: str = "") -> Manifest:
        with self._lock:
            place = (kind, namespace, name)
            self._may("status", kind, {"metadata": {"name": name, "namespace": namespace}})
            before = self._need(place)
            if uid and meta(before)["uid"] != uid:
                raise Refused("ClusterRefused", "the test of /metadata/uid failed", details={"status": 422})
            return self._store(place, before, {**before, "status": copy.deepcopy(dict(status))})

    def patch(self, kind: Kind, namespace: str, name: str, change: Mapping[str, Any]) -> Manifest:
        with self._lock:
            place = (kind, namespace if kind.namespaced else "", name)
            self._may("patch", kind, {"metadata": {"name": name, "namespace": namespace}})
            return self._store(place, self._need(place), _merge_patch(self._need(place), change))

    def delete(
        self, kind: Kind, namespace: str, name: str, propagation: Propagation = "Background",
        grace_s: int | None = None, uid: str = "",
    ) -> bool:  # fmt: skip
        with self._lock:
            self._may("delete", kind, {"metadata": {"name": name, "namespace": namespace}})
            place = (kind, namespace if kind.namespaced else "", name)
            body = self._bodies.get(place)
            if body is None or (uid and meta(body)["uid"] != uid):
                return False
            if propagation == "Foreground" and self._children(body):
                terminating = {**body, "metadata": {**meta(body), "deletionTimestamp": "2024-05-01T00:00:00Z"}}
                self._store(place, body, terminating)
                for child in self._children(body):
                    inner = self._bodies[child]
                    gone = {**meta(inner), "deletionTimestamp": "2024-05-01T00:00:00Z"}
                    self._store(child, inner, {**inner, "metadata": gone})
                return True
            self._drop(place)
            return True

    def pod_log(self, namespace: str, pod: str, container: str, tail: int = 0, previous: bool = False) -> bytes:
        lines = self.pod_logs.get((namespace, pod, container), b"").splitlines(keepends=True)
        return b"".join(lines[-tail:] if tail else lines)

    def pod_lines(
        self, namespace: str, pod: str, container: str, since: str = "", tail: int = 0, previous: bool = False
    ) -> bytes:
        """One line a nanosecond, all within one second."""
        lines = self.pod_logs.get((namespace, pod, container + (".previous" if previous else "")), b"").splitlines()
        stamped = [b"2024-05-01T00:00:00.%09dZ %b\n" % (index, line) for index, line in enumerate(lines, 1)]
        return b"".join(stamped[-tail:] if tail else stamped)

    def review_token(self, token: str, audience: str) -> Reviewed | None:
        found = self.tokens.get(token)
        return found if found is not None and audience in found.audiences else None

    def version(self) -> str:
        self._check_there()
        return "1.34.4"

    # what tests do to it

    def write(self, body: Manifest) -> Manifest:
        """As someone else would: whatever is said, status and all."""
        _, place = _place(body)
        with self._lock:
            before = self._bodies.get(place)
            return self._store(place, before, _merge_patch(before or {}, body))

    def finish(self, kind: Kind, namespace: str, name: str) -> None:
        """An object that was being removed is gone, and what waited for it."""
        with self._lock:
            body = self._bodies[kind, namespace, name]
            owners = [one for one in self._bodies if meta(self._bodies[one]).get("uid") in _owner_uids(body)]
            self._drop((kind, namespace, name))
            for owner in owners:
                if "deletionTimestamp" in meta(self._bodies[owner]) and not self._children(self._bodies[owner]):
                    self._drop(owner)

    def forget_history(self) -> None:
        """As after a compaction: whoever watches from before must list anew."""
        with self._lock:
            self.forgotten = self._now

    def cut_watches(self) -> None:
        with self._lock:
            for watch in self._watches:
                watch.cut()

    # inside

    def _check_there(self) -> None:
        if self.away:
            raise Unavailable("ClusterUnreachable", "the API server did not answer")

    def _may(self, verb: str, kind: Kind, body: Manifest) -> None:
        self._check_there()
        self.log.append((verb, kind.kind, name_of(body)))
        if (verb, kind.kind) in self.refusals:
            raise self.refusals[verb, kind.kind]
        namespace = meta(body).get("namespace", "")
        if verb in ("apply", "create") and kind.namespaced and namespace not in self.namespaces:
            details = {"status": 404, "kind": "namespaces"}
            raise NotFound("NotFound", f'namespaces "{namespace}" not found', details=details)
        if verb == "create" and kind == NAMESPACES:
            self.namespaces.add(name_of(body))

    def _need(self, place: Place) -> Manifest:
        if place not in self._bodies:
            raise NotFound("NotFound", f"{place[0].plural} {place[2]} not found", details={"status": 404})
        return self._bodies[place]

    def _store(self, place: Place, before: Manifest | None, body: Manifest) -> Manifest:
        kind, namespace, name = place
        inner = {**meta(body), "name": name, **({"namespace": namespace} if namespace else {})}
        old = meta(before or {})
        inner["uid"] = old.get("uid") or f"uid-{next(self._uids)}"
        inner["creationTimestamp"] = old.get("creationTimestamp") or f"2024-05-01T00:00:{next(self._uids) % 60:02}Z"
        same = before is not None and {**before, "metadata": {}} == {**body, "metadata": {}} and _same_meta(old, inner)
        if same:
            return copy.deepcopy(before or {})
        self._now = next(self._version)
        inner["resourceVersion"] = str(self._now)
        body = {**body, "apiVersion": kind.api_version, "kind": kind.kind, "metadata": inner}
        self._bodies[place] = body
        self._tell(kind, namespace, Change("added" if before is None else "modified", copy.deepcopy(body)))
        return copy.deepcopy(body)

    def _drop(self, place: Place) -> None:
        body = self._bodies.pop(place)
        self._applied.pop(place, None)
        self._now = next(self._version)
        gone = copy.deepcopy(body)
        gone["metadata"]["resourceVersion"] = str(self._now)
        self._tell(place[0], place[1], Change("deleted", gone))
        for child in self._children(body):
            if child in self._bodies:
                self._drop(child)

    def _children(self, body: Manifest) -> list[Place]:
        uid = meta(body).get("uid")
        return [place for place, one in self._bodies.items() if uid in _owner_uids(one)]

    def _tell(self, kind: Kind, namespace: str, change: Change) -> None:
        self._history.append((self._now, kind, namespace, change))
        for watch in self._watches:
            watch.offer(kind, namespace, change)


class PlayWatch:
    """See `Watch`."""

    def __init__(self, kube: PlayKube, kind: Kind, namespace: str, chosen: tuple[str, str], since: int) -> None:
        self._kube, self._kind, self._namespace = kube, kind, namespace
        self._labels, self._fields = chosen
        self._news: queue.Queue[Change | None] = queue.Queue()
        self._expired = since < kube.forgotten
        for version, one, where, change in list(kube._history):
            if version > since:
                self.offer(one, where, change)

    def offer(self, kind: Kind, namespace: str, change: Change) -> None:
        chosen = _labelled(change.body, self._labels) and _fielded(change.body, self._fields)
        if kind == self._kind and self._namespace in ("", namespace) and chosen:
            self._news.put(change)

    def cut(self) -> None:
        self._news.put(None)

    def close(self) -> None:
        self.cut()

    def __iter__(self) -> Iterator[Change]:
        if self._kube.away:
            raise Unavailable("ClusterUnreachable", "the API server did not answer")
        if self._expired:
            raise Expired
        while (change := self._news.get()) is not None:
            yield change


def a_pod(job: Manifest, name: str = "", rank: int = 0, **status: Any) -> Manifest:
    """A pod as the Job controller makes it."""
    labels = meta(job)["labels"]
    annotations = {**(meta(job).get("annotations") or {}), "batch.kubernetes.io/job-completion-index": str(rank)}
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name_of(job), "uid": meta(job)["uid"]}
    return {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": name or f"{name_of(job)}-{rank}-abcde", "namespace": meta(job)["namespace"], "labels": labels,
            "annotations": annotations, "ownerReferences": [owner],
        },
        "spec": {"nodeName": "node-1"}, "status": {"phase": "Pending", **status},
    }  # fmt: skip


def a_node(name: str = "node-1", ready: bool = True, cpu: str = "64", memory: str = "256Gi") -> Manifest:
    status = {
        "conditions": [{"type": "Ready", "status": "True" if ready else "Unknown"}],
        "allocatable": {"cpu": cpu, "memory": memory, "pods": "110"},
    }
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "status": status}


def running(**more: Any) -> Manifest:
    """Status of a pod whose main container runs."""
    return {
        "phase": "Running",
        "containerStatuses": [{"name": "main", "state": {"running": {"startedAt": AT}}}],
        **more,
    }


def ended(exit_code: int, reason: str = "", **more: Any) -> Manifest:
    """Status of a pod whose main container has ended."""
    reason = reason or ("Completed" if exit_code == 0 else "Error")
    state = {"terminated": {"exitCode": exit_code, "reason": reason, "startedAt": AT, "finishedAt": AT}}
    phase = "Failed" if exit_code else "Succeeded"
    return {"phase": phase, "containerStatuses": [{"name": "main", "state": state}], **more}


AT = "2024-05-01T00:00:00Z"


def _place(body: Manifest) -> tuple[Kind, Place]:
    group, _, version = str(body["apiVersion"]).rpartition("/")
    kind = _KINDS[group, version, body["kind"]]
    return kind, (kind, meta(body).get("namespace", "") if kind.namespaced else "", name_of(body))


def _labelled(body: Manifest, labels: str) -> bool:
    here = meta(body).get("labels") or {}
    return all(here.get(part.partition("=")[0]) == part.partition("=")[2] for part in labels.split(",") if part)


def _fielded(body: Manifest, fields: str) -> bool:
    def value(path: str) -> object:
        found: Any = body
        for part in path.split("."):
            found = found.get(part, {}) if isinstance(found, dict) else {}
        return found

    return all(value(part.partition("=")[0]) == part.partition("=")[2] for part in fields.split(",") if part)


def _owner_uids(body: Manifest) -> set[str]:
    return {str(one["uid"]) for one in meta(body).get("ownerReferences") or ()}


def _same_meta(old: Manifest, new: Manifest) -> bool:
    kept = ("labels", "annotations", "ownerReferences", "deletionTimestamp")
    return all((old.get(key) or {}) == (new.get(key) or {}) for key in kept)


def _merge(old: Any, new: Any, mine: Any) -> Any:
    """What server-side apply comes to for one manager: what it named before and does not name now is gone."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return copy.deepcopy(new)
    dropped = set(mine) - set(new) if isinstance(mine, dict) else set()
    kept = {key: value for key, value in old.items() if key not in dropped}
    before = mine if isinstance(mine, dict) else {}
    return {**kept, **{key: _merge(kept.get(key), value, before.get(key)) for key, value in new.items()}}


def _merge_patch(old: Manifest, change: Mapping[str, Any]) -> Manifest:
    made = dict(old)
    for key, value in change.items():
        if value is None:
            made.pop(key, None)
        elif isinstance(value, Mapping):
            inner = made.get(key)
            made[key] = _merge_patch(inner if isinstance(inner, dict) else {}, value)
        else:
            made[key] = copy.deepcopy(value)
    return made
