"""A cache of one kind of object that keeps itself fresh: list once, then follow the watch, and list anew when lost."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from ferryml.backends.kubernetes.kinds import Kind
from ferryml.backends.kubernetes.kube import (
    Change,
    Expired,
    Kube,
    Listing,
    Manifest,
    Watch,
    meta,
    name_of,
    namespace_of,
    version_of,
)
from ferryml.domain.errors import FerryError, Forbidden, NotFound

log = logging.getLogger(__name__)

LEAST_PAUSE_S = 0.2
MOST_PAUSE_S = 30.0
Place = tuple[str, str]
"""(namespace, name)."""


def no_index(body: Manifest) -> Iterable[str]:
    return ()


class Informer:
    """Objects of one kind in some namespaces (empty: all), kept in memory. Safe between threads.

    Args:
        labels: only objects with these labels.
        index: under which words `select` finds an object.
        heard: called after each change with the object as it is (or was) and whether it is gone.
        keep: what of an object stays in memory; `heard` has the whole.
    """

    def __init__(
        self, kube: Kube, kind: Kind, namespaces: Sequence[str] = (), labels: str = "",
        index: Callable[[Manifest], Iterable[str]] = no_index,
        heard: Callable[[Manifest, bool], None] = lambda body, gone: None,
        keep: Callable[[Manifest], Manifest] = lambda body: body,
    ) -> None:  # fmt: skip
        self._kube, self._kind, self._labels, self._fields = kube, kind, labels, ""
        self._forget = True
        self._index, self._heard, self._keep = index, heard, keep
        self.sighted: Callable[[str], None] = lambda namespace: None
        """Told of each namespace that may be looked into again, after everything in it was heard of."""
        self._blind: frozenset[str] = frozenset()
        self._lock = threading.Lock()
        self._bodies: dict[Place, Manifest] = {}
        self._words: defaultdict[str, set[Place]] = defaultdict(set)
        self._stopping = threading.Event()
        self._followers = [_Follower(self, namespace) for namespace in (namespaces or ("",))]

    def named(self, name: str) -> Informer:
        """Only the object of this name, which a Role may allow by name. Before `start`."""
        self._fields = f"metadata.name={name}"
        return self

    def steadfast(self) -> Informer:
        """What may not be seen any more stays as it was, instead of counting as gone. Before `start`."""
        self._forget = False
        return self

    def start(self) -> None:
        for follower in self._followers:
            follower.thread.start()

    def wait(self, timeout_s: float) -> bool:
        """True once every namespace was listed."""
        return all(follower.synced.wait(timeout_s) for follower in self._followers)

    def stop(self) -> None:
        """Ends the following; what is known stays."""
        self._stopping.set()
        for follower in self._followers:
            follower.close()

    def get(self, namespace: str, name: str) -> Manifest | None:
        with self._lock:
            return self._bodies.get((namespace, name))

    def select(self, word: str) -> list[Manifest]:
        with self._lock:
            return [self._bodies[place] for place in sorted(self._words.get(word, ()))]

    def is_blind(self, namespace: str) -> bool:
        """Whether that namespace may not be looked into at present: what is known of it may be old."""
        return namespace in self._blind or "" in self._blind

    def all(self) -> list[Manifest]:
        with self._lock:
            return list(self._bodies.values())

    def took(self, body: Manifest) -> None:
        """An answer of our own write: known at once, before the watch tells of it."""
        with self._lock:
            self._put(body)

    def dropped(self, namespace: str, name: str) -> None:
        """Our own delete was carried out."""
        with self._lock:
            self._remove((namespace, name))

    def _blinded(self, namespace: str) -> None:
        with self._lock:
            self._blind |= {namespace}

    def _sees(self, namespace: str) -> None:
        with self._lock:
            was_blind, self._blind = namespace in self._blind, self._blind - {namespace}
        if was_blind:
            self.sighted(namespace)

    def _relisted(self, namespace: str, listing: Listing) -> None:
        gone: list[Manifest] = []
        with self._lock:
            here = {(namespace_of(body), name_of(body)) for body in listing.items}
            for place in [p for p in self._bodies if p not in here and namespace in ("", p[0])]:
                gone.append(self._bodies[place])
                self._remove(place)
            fresh = [body for body in listing.items if self._put(body)]
        for body in gone:
            self._heard(body, True)
        for body in fresh:
            self._heard(body, False)

    def _changed(self, change: Change) -> None:
        with self._lock:
            if change.what == "deleted":
                place = (namespace_of(change.body), name_of(change.body))
                known = self._bodies.get(place)
                # a new object of the same name may have been heard of through our own write
                news = known is not None and meta(known).get("uid") == meta(change.body).get("uid")
                if news:
                    self._remove(place)
            else:
                news = self._put(change.body)
        if news:
            self._heard(change.body, change.what == "deleted")

    def _put(self, body: Manifest) -> bool:
        """False when something newer is known."""
        place = (namespace_of(body), name_of(body))
        known = self._bodies.get(place)
        if known is not None and not _newer(body, known):
            return False
        body["metadata"].pop("managedFields", None)
        self._remove(place)
        self._bodies[place] = self._keep(body)
        for word in self._index(body):
            self._words[word].add(place)
        return True

    def _remove(self, place: Place) -> None:
        known = self._bodies.pop(place, None)
        for word in self._index(known) if known is not None else ():
            self._words[word].discard(place)
            if not self._words[word]:
                del self._words[word]


class _Follower:
    """One namespace's thread."""

    def __init__(self, informer: Informer, namespace: str) -> None:
        self._of, self._namespace = informer, namespace
        self.synced = threading.Event()
        self._watch: Watch | None = None
        name = f"watch-{informer._kind.plural}" + (f"-{namespace}" if namespace else "")
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)

    def close(self) -> None:
        if self._watch is not None:
            self._watch.close()

    def _run(self) -> None:
        pause, since, trouble = LEAST_PAUSE_S, "", ""
        while not self._of._stopping.is_set():
            try:
                if not since:
                    since = self._list()
                since = self._follow(since)
                pause, trouble = LEAST_PAUSE_S, ""
            except Expired:
                since = ""
            except FerryError as error:
                gone = isinstance(error, Forbidden | NotFound)
                if gone and self._of._forget:
                    since = ""
                    self._not_seen(error)
                    self.synced.set()
                if trouble != error.code:
                    log.warning("%s: %s: %s", self.thread.name, error.code, error.message)
                trouble = error.code
                self._of._stopping.wait(MOST_PAUSE_S if gone else pause)
                pause = min(pause * 2, MOST_PAUSE_S)

    def _not_seen(self, error: FerryError) -> None:
        """A right that was taken away says nothing of what is there; a kind that does not exist has no objects."""
        if isinstance(error, Forbidden):
            self._of._blinded(self._namespace)
        else:
            self._of._relisted(self._namespace, Listing((), ""))

    def _list(self) -> str:
        of = self._of
        listing = of._kube.list(of._kind, self._namespace, of._labels, of._fields)
        of._relisted(self._namespace, listing)
        of._sees(self._namespace)
        self.synced.set()
        return listing.version

    def _follow(self, since: str) -> str:
        of = self._of
        self._watch = of._kube.watch(of._kind, self._namespace, since, of._labels, of._fields)
        for change in self._watch:
            if of._stopping.is_set():
                self._watch.close()
                return since
            since = version_of(change.body) or since
            if change.what != "mark":
                of._changed(change)
        return since


def _newer(body: Manifest, known: Manifest) -> bool:
    """Versions of one object rise (all API servers since the beginning; promised from 1.35 on)."""
    if meta(body).get("uid") != meta(known).get("uid"):
        return True
    new, old = version_of(body), version_of(known)
    return not (new.isdigit() and old.isdigit()) or int(new) > int(old)
