"""The memory of a site that is a cluster: wishes and what became of them are objects in it; the agent needs no disk."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from ferryml.backends.kubernetes import mljobs
from ferryml.backends.kubernetes.kinds import CONFIG_MAPS, Kind
from ferryml.backends.kubernetes.kube import Kube, Manifest, annotations_of, meta, name_of, namespace_of
from ferryml.backends.kubernetes.online_deployments import OnlineDeployments
from ferryml.backends.kubernetes.trouble import namespace_is_missing
from ferryml.compile.kubernetes import labels as marks
from ferryml.compile.kubernetes.pods import Owner
from ferryml.domain.errors import FerryError, Forbidden, NotFound, Refused, Unavailable
from ferryml.domain.lifecycle import TERMINAL
from ferryml.domain.link import Wish
from ferryml.domain.orders import EndpointOrder, JobOrder
from ferryml.domain.seen import StoredStatus, told_anew
from ferryml.domain.statuses import EndpointStatus, GoneStatus, JobStatus

log = logging.getLogger(__name__)

CURSOR = "ferry-cursor"
REMEMBER = timedelta(days=30)
"""How long the end of a job is remembered that the server has taken back."""
PARALLEL = 8


@dataclass(frozen=True, slots=True)
class Held:
    """The object that a uid's wish and status live in."""

    kind: Kind
    namespace: str
    name: str
    object_uid: str
    trouble: str = ""
    """Why it does not lie in the namespace that the order names; empty when it does."""


class KubeLedger:
    """`agent.ports.Ledger`: reads come from memory, writes are in the cluster before they return. Safe between threads.

    Acknowledgements live in memory: a new agent tells once more what was not taken back yet, which changes nothing.

    Args:
        system: namespace of the agent's own objects, and of wishes whose namespace is not there.
        namespaces: where computes may be; empty: anywhere.
    """

    def __init__(self, kube: Kube, system: str, namespaces: Sequence[str], now: Callable[[], datetime]) -> None:
        self._kube, self._system, self._now = kube, system, now
        self._namespaces = tuple(dict.fromkeys((*namespaces, system))) if namespaces else ("",)
        self._lock = threading.RLock()
        self._epoch, self._cursor = "", 0
        self._wishes: dict[str, Wish] = {}
        self._sorted: list[Wish] | None = None
        self._statuses: dict[str, StoredStatus] = {}
        self._held: dict[str, Held] = {}
        self._lost: set[str] = set()
        self._blind: set[str] = set()
        """Namespaces whose objects could not be read: what is wished for there is known to nobody but the server."""
        self._removed: deque[str] = deque(maxlen=1000)
        """Objects that we removed ourselves: a late word of them must not bring them back."""
        self._pool = ThreadPoolExecutor(PARALLEL, thread_name_prefix="ledger")
        self._deployments = OnlineDeployments(kube)

    def open(self) -> None:
        """Reads everything. Raises Unavailable, or Refused when the custom resource is not installed."""
        cursor = self._kube.get(CONFIG_MAPS, self._system, CURSOR)
        places = [(kind, namespace) for kind in mljobs.KINDS.values() for namespace in self._namespaces]
        bodies = [body for kind, namespace in places for body in self._wishes_in(kind, namespace)]
        bodies += self._kube.list(CONFIG_MAPS, self._system, mljobs.WISHES).items
        bodies.sort(key=lambda body: str(meta(body).get("creationTimestamp", "")))
        with self._lock:
            data = (cursor or {}).get("data") or {}
            self._epoch, self._cursor = str(data.get("epoch", "")), int(data.get("cursor") or 0)
            for body in bodies:
                self._read(body)
            if any(mljobs.is_elsewhere(body) for body in bodies):
                self._cursor = 0  # it may have been the server's order, which is asked for anew
        self._forget_old()

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def epoch(self) -> str:
        with self._lock:
            return self._epoch

    def cursor(self) -> int:
        with self._lock:
            return self._cursor

    def wishes(self) -> list[Wish]:
        with self._lock:
            if self._sorted is None:
                self._sorted = sorted(self._wishes.values(), key=lambda wish: wish.cursor)
            return list(self._sorted)

    def wish(self, uid: str) -> Wish | None:
        with self._lock:
            return self._wishes.get(uid)

    def held(self, uid: str) -> Held | None:
        """The object that stands for it."""
        with self._lock:
            return self._held.get(uid)

    def settled(self, uid: str) -> bool:
        """Its end was decided."""
        with self._lock:
            stored = self._statuses.get(uid)
        status = stored.status if stored is not None else None
        return isinstance(status, GoneStatus) or (isinstance(status, JobStatus) and status.phase in TERMINAL)

    def take(self, wishes: Iterable[Wish], epoch: str, cursor: int) -> None:
        with self._lock:
            came = [wish for wish in wishes if not self._is_unread(wish)]
            if not came and (epoch, cursor) == (self._epoch, self._cursor):
                return
            self._keep_wishes(came)
            back = [s for w in came if (s := self._statuses.get(w.uid)) is not None and s.orphaned]
            self._keep_statuses([s.model_copy(update={"orphaned": False}) for s in back])
            self._keep_cursor(epoch, cursor)

    def relist(self, wishes: Iterable[Wish], epoch: str, cursor: int) -> None:
        with self._lock:
            came = [wish for wish in wishes if not self._is_unread(wish)]
            listed = {wish.uid: wish.generation for wish in came}
            told = told_anew(self._statuses.values(), listed, self._wishes)
            self._keep_wishes(came)
            self._keep_statuses(told)
            self._keep_cursor(epoch, cursor)

    def bury(self, uid: str, remember: bool) -> None:
        with self._lock:
            wish, held = self._wishes.get(uid), self._held.get(uid)
            if wish is not None and wish.order is not None:
                return
            if not remember:
                if held is not None:
                    self._remove(held)
                self._forget(uid)
            elif held is not None and wish is not None:
                self._apply(wish, held.namespace, buried=True)
                self._drop(uid)

    def status(self, uid: str) -> StoredStatus | None:
        with self._lock:
            return self._statuses.get(uid)

    def statuses(self) -> list[StoredStatus]:
        with self._lock:
            return list(self._statuses.values())

    def put_statuses(self, statuses: Iterable[StoredStatus]) -> None:
        """What the server said in the meantime (acknowledged, orphaned) is kept: the caller decides only the rest."""
        with self._lock:
            self._restore()
            self._keep_statuses([self._merged(new) for new in statuses])

    def acknowledge(self, accepted: Iterable[tuple[str, int, int]], unknown: Iterable[str]) -> None:
        with self._lock:
            lasting: list[StoredStatus] = []
            for uid, _, version in accepted:
                stored = self._statuses.get(uid)
                if stored is None or not stored.acknowledged < version <= stored.version:
                    continue
                self._statuses[uid] = stored.model_copy(update={"acknowledged": version, "orphaned": False})
            for uid in unknown:
                if (stored := self._statuses.get(uid)) is not None:
                    lasting.append(stored.model_copy(update={"acknowledged": stored.version, "orphaned": True}))
            self._keep_statuses(lasting)

    def heard(self, body: Manifest, gone: bool) -> None:
        """A change of an MLJob or OnlineEndpoint that the watch tells of: someone removed it, or made one by hand."""
        uid, object_uid = mljobs.uid_of(body), str(meta(body).get("uid", ""))
        with self._lock:
            held = self._held.get(uid)
            if gone and held is not None and held.object_uid == object_uid:
                self._lost.add(uid)
            elif not gone and held is None and object_uid not in self._removed:
                self._read(body)

    def sighted(self, namespace: str) -> None:
        """It may be looked into again: everything that is wished for is asked for anew, for some of it was left out."""
        with self._lock:
            if namespace in self._blind:
                self._blind.discard(namespace)
                self._cursor = 0

    # reading

    def _is_unread(self, wish: Wish) -> bool:
        """Its object may be there and hold what we do not know; told to begin, we might begin a second time."""
        return isinstance(wish.order, JobOrder) and wish.order.namespace in self._blind and wish.uid not in self._held

    def _wishes_in(self, kind: Kind, namespace: str) -> tuple[Manifest, ...]:
        try:
            return self._kube.list(kind, namespace).items
        except Forbidden as error:
            if namespace in ("", self._system):
                raise
            log.warning("%s in namespace %s cannot be looked into: %s", kind.plural, namespace, error.message)
            self._blind.add(namespace)
            return ()

    def _read(self, body: Manifest) -> None:
        if not mljobs.is_whole(body):
            log.warning("%s/%s is not an order of Ferry's", namespace_of(body), name_of(body))
            return
        if mljobs.is_elsewhere(body):
            log.warning("%s/%s orders work in another namespace", namespace_of(body), name_of(body))
            return
        uid = mljobs.uid_of(body)
        if uid in self._held:
            log.warning("%s/%s claims %s, which lives elsewhere", namespace_of(body), name_of(body), uid)
            return
        self._held[uid] = _held(body)
        wish, stored = mljobs.wish_of(body), mljobs.status_of(body)
        if wish is not None:
            self._wishes[uid] = wish
            self._sorted = None
        if stored is not None:
            # what is buried was heard of: else thousands of ends would be told anew by each new agent
            heard = {"acknowledged": stored.version} if wish is None else {}
            self._statuses[uid] = stored.model_copy(update=heard)

    def _forget_old(self) -> None:
        """What the server took back long ago; it holds objects and memory for nothing."""
        oldest = self._now() - REMEMBER
        with self._lock:
            old = [uid for uid, s in self._statuses.items() if uid not in self._wishes and s.at and s.at < oldest]
        for uid in old:
            with self._lock:
                self._remove(self._held[uid])
                self._forget(uid)

    # writing

    def _keep_wishes(self, wishes: Sequence[Wish]) -> None:
        self._all(self._keep_wish, wishes)

    def _keep_wish(self, wish: Wish) -> None:
        held, stored = self._held.get(wish.uid), self._statuses.get(wish.uid)
        namespace = self._system if held is None else held.namespace
        if isinstance(wish.order, JobOrder | EndpointOrder):
            namespace = wish.order.namespace
        self._wishes[wish.uid], self._sorted = wish, None
        body = self._placed(wish, namespace)
        self._held[wish.uid] = _held(body)
        if held is not None and held.object_uid != self._held[wish.uid].object_uid:
            self._remove(held)
            if stored is not None:
                self._keep_status(stored)

    def _placed(self, wish: Wish, namespace: str) -> Manifest:
        """Where it belongs; in the system namespace, with the reason, when that cannot be."""
        try:
            return self._apply(wish, namespace)
        except (NotFound, Forbidden) as error:
            if namespace == self._system or not (namespace_is_missing(error) or isinstance(error, Forbidden)):
                raise
            return self._apply(wish, self._system, trouble=error.message)

    def _apply(self, wish: Wish, namespace: str, buried: bool = False, trouble: str = "") -> Manifest:
        body = mljobs.body_of(wish, namespace, buried, trouble)
        stored = self._statuses.get(wish.uid)
        if mljobs.kind_of(wish.uid) is CONFIG_MAPS and stored is not None:
            body["data"]["status"] = mljobs.text_of(stored)
        return self._kube.apply(body)

    def _remove(self, held: Held) -> None:
        self._removed.append(held.object_uid)
        self._kube.delete(held.kind, held.namespace, held.name, uid=held.object_uid)

    def _keep_statuses(self, statuses: Sequence[StoredStatus]) -> None:
        self._all(self._keep_status, statuses)

    def _keep_status(self, stored: StoredStatus) -> None:
        held = self._held.get(stored.uid)
        try:
            if held is None:
                log.warning("%s is kept in memory alone", stored.uid)
            elif held.kind is not CONFIG_MAPS:
                status = mljobs.status_body(stored)
                self._kube.patch_status(held.kind, held.namespace, held.name, status, held.object_uid)
            else:
                self._kube.patch(CONFIG_MAPS, held.namespace, held.name, {"data": {"status": mljobs.text_of(stored)}})
        except Forbidden:
            # rights that are away for a while: the server hears of it all the same
            self._statuses[stored.uid] = stored
            raise
        except Refused:
            if held is None or self._is_there(held):
                # the server hears of it all the same; only a restart would forget it
                self._statuses[stored.uid] = stored
                raise
            self._lost.add(stored.uid)
        self._statuses[stored.uid] = stored
        self._show(stored, held)

    def _show(self, stored: StoredStatus, held: Held | None) -> None:
        """For people alone: nothing depends on it."""
        wish = self._wishes.get(stored.uid)
        order = wish.order if wish is not None else None
        if held is None or held.trouble or not isinstance(stored.status, EndpointStatus):
            return
        if isinstance(order, EndpointOrder):
            owner = Owner(held.kind.kind, held.name, held.object_uid)
            try:
                self._deployments.show(stored.uid, order, stored.status, owner)
            except FerryError as error:
                log.warning("the deployments of %s are not shown: %s", stored.uid, error.message)

    def _is_there(self, held: Held) -> bool:
        body = self._kube.get(held.kind, held.namespace, held.name)
        return body is not None and meta(body).get("uid") == held.object_uid

    def _keep_cursor(self, epoch: str, cursor: int) -> None:
        self._kube.apply(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": CURSOR, "namespace": self._system, "labels": marks.MANAGED},
                "data": {"epoch": epoch, "cursor": str(cursor)},
            }
        )
        self._epoch, self._cursor = epoch, cursor

    def _restore(self) -> None:
        """Objects that someone removed although their wish stands."""
        lost, self._lost = self._lost, set()
        for uid in lost:
            wish, stored = self._wishes.get(uid), self._statuses.get(uid)
            if wish is None or (stored is not None and stored.orphaned):
                # of what the server does not know, whoever removes it has the last word
                self._forget(uid)
                continue
            try:
                self._held.pop(uid, None)
                self._keep_wish(wish)
                if stored is not None:
                    self._keep_status(stored)
            except FerryError as error:
                log.warning("%s was removed and cannot be written anew: %s", uid, error.message)
                self._lost.add(uid)

    def _all(self, keep: Callable[[Wish], None] | Callable[[StoredStatus], None], things: Sequence[object]) -> None:
        """Many at a time; each counts by itself. What the cluster refuses is logged, what time may mend is raised."""
        trouble: FerryError | None = None
        try:
            futures = [self._pool.submit(keep, thing) for thing in things]  # type: ignore[arg-type]
        except RuntimeError as error:
            raise Unavailable("Unavailable", "the agent ends, or leads no more") from error
        for future in futures:
            try:
                future.result()
            except Refused as error:
                log.error("the cluster does not keep an order: %s: %s", error.code, error.message)
            except Unavailable as error:
                trouble = error
        if trouble is not None:
            raise trouble

    def _merged(self, new: StoredStatus) -> StoredStatus:
        old = self._statuses.get(new.uid)
        if old is None:
            return new
        return new.model_copy(update={"acknowledged": old.acknowledged, "orphaned": old.orphaned})

    def _drop(self, uid: str) -> None:
        self._wishes.pop(uid, None)
        self._sorted = None

    def _forget(self, uid: str) -> None:
        self._drop(uid)
        self._statuses.pop(uid, None)
        self._held.pop(uid, None)
        self._deployments.forget(uid)


def _held(body: Manifest) -> Held:
    kind = next((one for one in mljobs.KINDS.values() if one.kind == body["kind"]), CONFIG_MAPS)
    trouble = annotations_of(body).get(mljobs.MISPLACED, "")
    return Held(kind, namespace_of(body), name_of(body), str(meta(body).get("uid", "")), trouble)
