"""Deployments as processes of this machine: the local site's half of real-time inference."""

from __future__ import annotations

import json
import logging
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import ValidationError

from ferryml.agent.ports import LogRead
from ferryml.backends.local.serving_files import Content, RevisionFolder, folder_of
from ferryml.backends.local.serving_instance import Environments, Instance, Record, Scripts, Site
from ferryml.domain.errors import Refused
from ferryml.domain.orders import RevisionOrder
from ferryml.domain.seen import InstanceSeen

log = logging.getLogger(__name__)
_TURN_S = 0.1
_ORDER = "revision.json"


class LocalServing:
    """Implements `agent.ports.ServingBackend`. One thread looks after all instances; every method returns at once."""

    def __init__(
        self, root: Path, content: Content, environments: Environments, scripts: Scripts | None = None
    ) -> None:
        self._root, self._scripts = root, scripts or Scripts()
        self._workers = ThreadPoolExecutor(8, thread_name_prefix="serving-work")
        self._site = Site(content, environments, self._workers, self._scripts)
        self._lock = threading.Lock()
        self._instances: dict[tuple[str, str, int], Instance] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="serving", daemon=True)
        self._adopt()
        self._thread.start()

    def scale(self, uid: str, rev: RevisionOrder, count: int, grace_s: float) -> None:
        """Bring, start and keep running. Raises Refused."""
        if rev.flavor == "triton":
            raise Refused(
                "NotSupported",
                "a local site has no Triton server",
                "Deploy it to a Kubernetes compute, or bring a script.",
            )
        with self._lock:
            self._scripts.serve(uid, rev)
            for instance in range(count):
                self._keep(uid, rev, instance)
            self._end(uid, rev.revision, count, grace_s)

    def stop(self, uid: str, revision: str, grace_s: float) -> None:
        """Ask the groups to end, kill them after `grace_s`; they leave `observe` once nothing lives."""
        with self._lock:
            self._end(uid, revision, 0, grace_s)

    def observe(self, uid: str) -> list[InstanceSeen]:
        """All instances of the endpoint, those that are ending too."""
        with self._lock:
            return [one.seen() for (owner, _, _), one in sorted(self._instances.items()) if owner == uid]

    def logs(self, uid: str, revision: str, container: str, after: int = 0, limit: int = 1 << 20) -> LogRead:
        """Kept until `clean`."""
        data = RevisionFolder(folder_of(self._root, uid, revision)).read_log(container, after, limit)
        return LogRead(data, after + len(data))

    def clean(self, uid: str) -> None:
        """Remove everything of the endpoint; does nothing while an instance lives."""
        with self._lock:
            if not any(owner == uid for owner, _, _ in self._instances):
                shutil.rmtree(folder_of(self._root, uid), ignore_errors=True)

    def close(self, end: bool) -> None:
        """Stop looking after them. With `end` the processes end too; else a later life takes them over."""
        self._over.set()
        self._thread.join(10)
        if end:
            for one in self._instances.values():
                one.stopping = 5.0
            deadline = time.monotonic() + 10
            while self._instances and time.monotonic() < deadline:
                self._turn()
                time.sleep(_TURN_S / 2)
        for one in self._instances.values():
            one.release()
        self._workers.shutdown(wait=False, cancel_futures=True)

    def _keep(self, uid: str, rev: RevisionOrder, instance: int) -> None:
        known = self._instances.get((uid, rev.revision, instance))
        if known is not None:
            known.revision = rev
            return
        folder = self._folder(uid, rev.revision)
        folder.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder.path / _ORDER).write_text(json.dumps({"uid": uid, "order": rev.model_dump(mode="json")}))
        made = Instance(rev, folder, Record(instance), self._site)
        made.save()
        self._instances[uid, rev.revision, instance] = made

    def _end(self, uid: str, revision: str, first: int, grace_s: float) -> None:
        """Those from number `first` on."""
        for (owner, name, instance), one in self._instances.items():
            if (owner, name) == (uid, revision) and instance >= first and one.stopping is None:
                one.stopping = grace_s

    def _folder(self, uid: str, revision: str) -> RevisionFolder:
        path = folder_of(self._root, uid, revision)
        shared = (one.folder for one in self._instances.values() if one.folder.path == path)
        return next(shared, None) or RevisionFolder(path)

    def _run(self) -> None:
        while not self._over.wait(_TURN_S):
            self._turn()

    def _turn(self) -> None:
        with self._lock:
            known = list(self._instances.items())
            for key, one in known:
                try:
                    if one.turn(time.monotonic()):
                        del self._instances[key]
                        self._left(one)
                except Exception:  # the loop runner: one broken instance must not stop the others
                    log.exception("%s revision %s: defect in its turn", key[0], key[1])

    def _left(self, one: Instance) -> None:
        if not any(other.folder.path == one.folder.path for other in self._instances.values()):
            one.folder.drop_files()
            self._scripts.forget(one.revision.revision)

    def _adopt(self) -> None:
        for file in sorted(self._root.glob(f"*/*/{_ORDER}")):
            try:
                kept = json.loads(file.read_text(encoding="utf-8"))
                uid, order = str(kept["uid"]), RevisionOrder.model_validate(kept["order"])
            except (OSError, ValueError, KeyError, ValidationError):
                log.warning("%s cannot be read; its instances are not taken over", file)
                continue
            self._scripts.serve(uid, order)
            for record_file in sorted(file.parent.glob("instance-*.json")):
                record = Record(**json.loads(record_file.read_text(encoding="utf-8")))
                one = Instance(order, self._folder(uid, order.revision), record, self._site)
                one.adopt()
                self._instances[uid, order.revision, record.instance] = one
