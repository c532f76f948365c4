from __future__ import annotations

import pytest

from ferryml.domain.errors import Forbidden, Unauthenticated
from ferryml.gateway import pods as module
from ferryml.gateway.journal import Caller
from ferryml.gateway.pods import ADMIN_AUDIENCE, POD_AUDIENCE, Identity, Pods, Remembering
from gateway_play import PlayPlace


class Api:
    """Knows (token, audience) -> whose it is; counts questions."""

    def __init__(self, **known: Identity) -> None:
        self.known, self.asked = known, 0

    def review(self, token: str, audience: str) -> Identity | None:
        self.asked += 1
        return self.known.get(token) if audience == POD_AUDIENCE or token == "admin" else None


AGENT = Identity("system:serviceaccount:s:ferry-agent", "s")


def a_pod(name: str, namespace: str = "team") -> Identity:
    return Identity(f"system:serviceaccount:{namespace}:default", namespace, name)


def admitted(gateway: PlayPlace, api: Api, *prefixes: str) -> Pods:
    pods = Pods(gateway.db, api, AGENT.account)
    for attempt, prefix in enumerate(prefixes, 1):
        caller = Caller("job.w.j", attempt, "w", "grant")
        gateway.journal.admit(caller, "")
        pods.admit(caller, "team", prefix)
    return pods


def test_a_name_says_attempt_and_rank(gateway: PlayPlace) -> None:
    pods = admitted(gateway, Api(t=a_pod("j-1-12-x7k2p")), "j-1-")
    caller = pods.who("t")
    assert (caller.uid, caller.attempt, caller.rank, caller.kind) == ("job.w.j", 1, 12, "job")


@pytest.mark.parametrize("name", ["j-1", "j-10-0-x", "xj-1-0-x", "J-1-0-x", "", "%"])
def test_a_name_that_is_nearly_right_is_wrong(gateway: PlayPlace, name: str) -> None:
    pods = admitted(gateway, Api(t=a_pod(name)), "j-1-")
    with pytest.raises(Unauthenticated):
        pods.who("t")


def test_a_wildcard_in_a_name_matches_itself_only(gateway: PlayPlace) -> None:
    pods = admitted(gateway, Api(t=a_pod("jx1-0-a")), "j_1-")
    with pytest.raises(Unauthenticated):
        pods.who("t")


def test_the_past_is_told_so(gateway: PlayPlace) -> None:
    pods = admitted(gateway, Api(old=a_pod("j-1-0-x"), new=a_pod("j-2-0-x")), "j-1-", "j-2-")
    assert pods.who("new").attempt == 2
    with pytest.raises(Forbidden, match="attempt 2 counts"):
        pods.who("old")
    gateway.journal.dismiss("job.w.j")
    with pytest.raises(Forbidden):
        pods.who("new")


def test_only_the_agent_is_the_agent(gateway: PlayPlace) -> None:
    pods = Pods(gateway.db, Api(admin=AGENT), AGENT.account)
    pods.check_admin("admin")
    with pytest.raises(Unauthenticated):
        pods.check_admin("")
    other = Pods(gateway.db, Api(admin=a_pod("x")), AGENT.account)
    with pytest.raises(Forbidden):
        other.check_admin("admin")


def test_the_api_server_is_asked_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    api = Api(t=a_pod("x"))
    reviewer = Remembering(api)
    for _ in range(3):
        assert reviewer.review("t", POD_AUDIENCE) == a_pod("x")
        assert reviewer.review("unknown", POD_AUDIENCE) is None
    assert api.asked == 2
    now[0] = 6
    reviewer.review("t", POD_AUDIENCE)
    reviewer.review("unknown", POD_AUDIENCE)
    assert api.asked == 3
    now[0] = 61
    reviewer.review("t", POD_AUDIENCE)
    assert api.asked == 4


def test_what_is_remembered_for_one_door_opens_no_other() -> None:
    api = Api(t=a_pod("x"))
    reviewer = Remembering(api)
    assert reviewer.review("t", POD_AUDIENCE)
    assert reviewer.review("t", ADMIN_AUDIENCE) is None


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 10)
    reviewer = Remembering(Api())
    for number in range(50):
        reviewer.review(str(number), POD_AUDIENCE)
    assert len(reviewer._known) == 10
