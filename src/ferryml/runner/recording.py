"""`collect` beside a deployment's program: takes what its scoring script collects, and hands it to the gateway."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time

from ferryml.runner.door import GaveUp, Rejected, Stopped
from ferryml.runner.line import quoted
from ferryml.runner.modeldata import ModelData
from ferryml.runner.modelrecords import Later, Never, Records, Target
from ferryml.runner.pod import DOOR_PORT, Pod

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ferryml.runner.door import Door
    from ferryml.runner.modelrecords import Key

PATIENCE_S = 3.0
"""How long one hand-over is tried; then it is tried again from the start, while new records come in."""
PATH = "/v1/modeldata"


def record(pod: Pod) -> int:
    """Until SIGTERM, which comes when the program's container has ended."""
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    told = pod.plan["collects"]
    target = Target(told)
    clock = time.time  # noqa: TID251  this program has nobody who could hand it in
    name = f"{os.environ.get('FERRY_POD_UID') or 'pod'}-{int(clock() * 1000):x}"
    records = Records(Sender(pod.door(PATIENCE_S)), name, float(told["every_s"]))
    port = int(os.environ.get("FERRY_DOOR_PORT") or pod.plan.get("door_port") or DOOR_PORT)
    door = ModelData(socket.create_server(("127.0.0.1", port), backlog=128), lambda shown: target, records, clock)
    try:
        records.work(over, lambda words: print(words, flush=True))
    finally:
        door.close()
    return 0


class Sender:
    """`modelrecords.Send` to the gateway, which knows the endpoint by the pod."""

    def __init__(self, door: Door) -> None:
        self._door = door

    def __call__(self, key: Key, name: str, lines: bytes) -> None:
        _, deployment, collection, folder = key
        query = (
            f"deployment={quoted(deployment)}&collection={quoted(collection)}&partition={quoted(folder)}&name={name}"
        )
        try:
            self._door.post_bytes(f"{PATH}?{query}", lines)
        except Rejected as error:
            if error.status in (401, 403):
                # word of this pod may come later than itself
                raise Later(str(error)) from error
            raise Never(str(error)) from error
        except (GaveUp, Stopped, OSError) as error:
            raise Later(str(error)) from error
