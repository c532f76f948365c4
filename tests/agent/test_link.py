"""The agent's calls over real HTTP: what is sent, and what answers are refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from ferryml.agent.link import HttpLink, enrol
from ferryml.domain.errors import Refused, Unavailable
from ferryml.domain.link import Enrol, Heartbeat, Report
from ferryml.domain.statuses import JobStatus
from ferryml.sdk.wire import Route, Wire
from site_play import T0

NOW = T0.isoformat()


class Answers:
    """A transport that remembers requests and answers what the test says."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.answer: Any = {}
        self.status = 200
        route = Route("http://server")
        client = httpx.Client(base_url=route.url, transport=httpx.MockTransport(self._handle))
        self.wire = Wire(client, route)

    def _handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return httpx.Response(self.status, json=self.answer)


@pytest.fixture
def server() -> Iterator[Answers]:
    made = Answers()
    yield made
    made.wire.close()


def test_wishes(server: Answers) -> None:
    server.answer = {"epoch": "e1", "cursor": 3, "wishes": [], "server_time": NOW}
    answer = HttpLink(server.wire).wishes(2, "e1", 25)
    assert answer.cursor == 3
    assert server.requests[0].url.raw_path == b"/agent/v1/wishes?after=2&epoch=e1&wait=25"
    assert server.requests[0].extensions["timeout"]["read"] > 25


def test_reports_and_heartbeat(server: Answers) -> None:
    link = HttpLink(server.wire)
    server.answer = {"epoch": "e1", "accepted": [["job.w.j", 1, 5]], "server_time": NOW}
    report = Report(uid="job.w.j", generation=1, version=5, status=JobStatus(phase="Running"), at=T0)
    assert link.report("e1", [report]).accepted == (("job.w.j", 1, 5),)
    said = json.loads(server.requests[0].content)
    assert (said["epoch"], said["reports"][0]["status"]["kind"]) == ("e1", "Job")
    server.answer = {"server_time": NOW, "settings": {"a": 1}}
    assert link.heartbeat(Heartbeat(version="1", at=T0)).settings == {"a": 1}


def test_enrolment(server: Answers) -> None:
    server.answer = {
        "site": "s", "zone": "", "server_id": "f", "server_key": "k", "epoch": "e1", "server_time": NOW,
    }  # fmt: skip
    request = Enrol(join_token="t", agent_key="a", gateway_key="b", version="1")
    assert enrol(server.wire, request).site == "s"
    server.status, server.answer = 401, {"error": {"code": "JoinTokenUsed", "message": "used"}}
    with pytest.raises(Refused) as caught:
        enrol(server.wire, request)
    assert caught.value.code == "JoinTokenUsed"


def test_answers_of_a_newer_server_may_tell_more(server: Answers) -> None:
    link = HttpLink(server.wire)
    server.answer = {"epoch": "e1", "cursor": 3, "server_time": NOW, "new_field": 1}
    assert link.wishes(0, "", 0).cursor == 3
    server.answer = {"server_time": NOW, "settings": {"a": 1}, "advice": "rest"}
    assert link.heartbeat(Heartbeat(version="1", at=T0)).settings == {"a": 1}


def test_only_what_is_not_its_default_is_sent(server: Answers) -> None:
    server.answer = {"server_time": NOW}
    HttpLink(server.wire).heartbeat(Heartbeat(version="1", at=T0))
    assert set(json.loads(server.requests[0].content)) == {"protocol", "version", "at"}


@pytest.mark.parametrize("answer", [{"epoch": "e1", "server_time": NOW}, {}, [], "x", {"epoch": "e1", "wishes": [7]}])
def test_an_answer_that_lacks_what_is_needed_says_that_the_agent_is_too_old(server: Answers, answer: Any) -> None:
    server.answer = answer
    with pytest.raises(Unavailable) as caught:
        HttpLink(server.wire).wishes(0, "", 0)
    assert caught.value.code == "AgentTooOld"
