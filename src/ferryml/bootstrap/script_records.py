"""What scoring scripts collect on a local site: one door on loopback for all of them, told apart by what they show."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import logging
import threading
from collections.abc import Callable
from pathlib import Path

from ferryml.backends.local.serving_instance import Scripts
from ferryml.bootstrap.dice import SystemDice
from ferryml.bootstrap.ports import listen
from ferryml.compile.collecting import script_collections, script_variables, told_to_the_door
from ferryml.domain.collection import Batch
from ferryml.domain.errors import FerryError, Unavailable
from ferryml.domain.orders import RevisionOrder
from ferryml.domain.uids import split_uid
from ferryml.router.shipping import Send
from ferryml.runner.modeldata import ModelData
from ferryml.runner.modelrecords import Later, Never, Records, Target

log = logging.getLogger(__name__)

HOST = "127.0.0.1"
Key = tuple[str, str, str, str]
STOP_LIMIT_S = 5.0


class ScriptRecords(Scripts):
    """Programs outlive this process: port and passwords are the same in its next life.

    Args:
        state: the site's folder.
        send: durable at the gateway when it returns.
        every_s: how long records wait for company.
    """

    def __init__(self, state: Path, send: Send, every_s: float, dice: SystemDice) -> None:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._state, self._dice = state, dice
        self._records = Records(_sender(send), f"script-{dice.id(10)}", every_s)
        self._targets: dict[str, Target] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(
            target=self._records.work, args=(self._over, log.warning), name="script-records", daemon=True
        )
        self._key = self._secret()
        # open from the beginning: programs are looked after as soon as their backend is there
        self._door = ModelData(
            listen(state / "collector.port", HOST, 0), self._who, self._records, lambda: dice.now().timestamp()
        )

    def start(self) -> None:
        """From now on the gateway gets what comes."""
        self._thread.start()

    def stop(self) -> None:
        """What has come is handed over, if the gateway takes it."""
        self._door.close()
        self._over.set()
        if self._thread.is_alive():
            self._thread.join(STOP_LIMIT_S)

    def serve(self, uid: str, revision: RevisionOrder) -> None:
        asked = script_collections(revision)
        if asked is None:
            self._targets.pop(revision.revision, None)
            return
        self._targets[revision.revision] = Target(told_to_the_door(uid, split_uid(uid)[2], revision, asked))

    def forget(self, revision: str) -> None:
        self._targets.pop(revision, None)

    def variables(self, revision: RevisionOrder, settings: Path) -> dict[str, str]:
        # the package makes an address of it, and what stands before the @ becomes the header that tells us who calls
        shown = f"{revision.revision}:{self._password(revision.revision)}@{HOST}"
        return script_variables(str(settings), shown, self._door.port)

    def _who(self, shown: str) -> Target | None:
        kind, _, rest = shown.partition(" ")
        try:
            name, _, password = base64.b64decode(rest, validate=True).decode("ascii").partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        if kind.lower() != "basic" or not hmac.compare_digest(password, self._password(name)):
            return None
        return self._targets.get(name)

    def _password(self, revision: str) -> str:
        return hmac.new(self._key, revision.encode(), hashlib.sha256).hexdigest()[:40]

    def _secret(self) -> bytes:
        file = self._state / "collector.key"
        if not file.exists():
            part = file.with_suffix(".part")
            part.touch(mode=0o600)
            part.write_text(self._dice.secret())
            part.replace(file)
        return file.read_bytes()


def _sender(send: Send) -> Callable[[Key, str, bytes], None]:
    def hand_over(key: Key, name: str, lines: bytes) -> None:
        uid, deployment, collection, folder = key
        try:
            batch = Batch(uid=uid, deployment=deployment, collection=collection, partition=folder, name=name)
            send(batch, lines)
        except Unavailable as error:
            raise Later(error.message) from error
        except FerryError as error:
            raise Never(error.message) from error

    return hand_over
