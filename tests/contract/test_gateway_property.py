"""Whatever is lost, repeated or killed on the way: what a job wrote arrives once, whole and in order."""

from __future__ import annotations

import base64
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from starlette.requests import Request
from starlette.responses import Response

from ferryml.domain.errors import FerryError, Unauthenticated
from ferryml.domain.link import MlflowCall
from ferryml.domain.orders import Tree, TreeEntry
from gateway_play import PlayPlace
from server_play import PlayServer

FATES = st.sampled_from(["arrives", "arrives", "lost there", "lost back"])


class Writing(RuleBasedStateMachine):
    """One job of up to two attempts writes; the gateway is killed and its server stumbles."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="ferry-gateway-"))
        self.server, self.place = PlayServer(), None
        self.attempt, self.calls, self.outputs = 1, 0, 0
        self.logged = {1: b"", 2: b""}
        self.open()
        self.token = self.place.door.admit("job.w.j", 1, self.server.grant())

    def open(self) -> None:
        if self.place is not None:
            self.place.close()
        self.place = PlayPlace(self.folder, self.server)

    @property
    def path(self) -> str:
        return "std_log.txt" if self.attempt == 1 else "retry-001/std_log.txt"

    @rule(data=st.binary(min_size=1, max_size=20), again=st.booleans())
    def logs(self, data: bytes, again: bool) -> None:
        caller = self.place.door.who(self.token)
        start = len(self.logged[self.attempt])
        self.logged[self.attempt] += data
        for _ in range(2 if again else 1):
            assert self.place.door.take_log(caller, self.path, start, data) == start + len(data)

    @rule(kind=st.sampled_from(["runs/log-metric", "runs/set-tag"]))
    def calls_mlflow(self, kind: str) -> None:
        caller = self.place.door.who(self.token)
        self.calls += 1
        body = {"run_id": "a" * 32, "key": f"k{self.calls}", "value": str(self.calls), "timestamp": 1, "step": 0}
        data = base64.b64encode(json.dumps(body).encode()).decode()
        self.place.journal.append(*caller.key, MlflowCall(method="POST", path=f"api/2.0/mlflow/{kind}", body=data))

    @rule()
    def writes_an_output(self) -> None:
        caller = self.place.door.who(self.token)
        self.outputs += 1
        digest, size = self.place.store.put([f"output {self.outputs}".encode()])
        self.place.door.received(caller, digest)
        tree = Tree(entries=(TreeEntry(path="f", digest=digest, size=size),))
        self.place.door.take_output(caller, f"o{self.outputs}", tree, "uri_folder")

    @rule()
    def is_tried_again(self) -> None:
        if self.attempt == 1:
            old, self.attempt = self.token, 2
            self.token = self.place.door.admit("job.w.j", 2, self.server.grant())
            with pytest.raises(Unauthenticated):
                self.place.door.who(old)

    @rule(fate=FATES, after=st.integers(0, 4))
    def forwards(self, fate: str, after: int) -> None:
        seen: list[Request] = []

        def fault(request: Request) -> Response | None:
            seen.append(request)
            # The stand-in asks before it does a thing, and for the journal once more after it was done.
            if fate == "arrives" or len(seen) <= after:
                return None
            back = request.url.path.endswith("journal") and seen.count(request) == 2
            return Response(status_code=503) if back or fate == "lost there" else None

        self.server.fault = fault
        try:
            self.place.forwarder.step()
        except FerryError:
            assert fate != "arrives"
        self.server.fault = lambda request: None

    @rule()
    def is_killed(self) -> None:
        self.open()

    def teardown(self) -> None:
        try:
            self.place.drain()
            self.check()
        finally:
            self.place.close()
            self.server.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def check(self) -> None:
        logs = self.server.logs()
        assert logs.get("std_log.txt", b"") == self.logged[1]
        assert logs.get("retry-001/std_log.txt", b"") == self.logged[2]
        assert [item["name"] for item in self.server.items("output")] == [f"o{n + 1}" for n in range(self.outputs)]
        assert unique(keys(self.server)) == [f"k{n + 1}" for n in range(self.calls)]


def keys(server: PlayServer) -> list[str]:
    """The names in all calls, also inside of batches, as the server came to know them."""
    found: list[str] = []
    for item in server.items("mlflow"):
        body: dict[str, Any] = json.loads(base64.b64decode(item["body"]))
        found += [body["key"]] if "key" in body else [metric["key"] for metric in body["metrics"]]
    return found


def unique(names: list[str]) -> list[str]:
    """A metric said twice is one to MLflow; its first place counts."""
    return list(dict.fromkeys(names))


@pytest.mark.timeout(300)
def test_what_was_written_arrives_once_whole_and_in_order() -> None:
    run_state_machine_as_test(
        Writing,
        settings=settings(
            max_examples=15, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
