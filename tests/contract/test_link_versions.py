"""The link between versions: what was recorded of protocol 1 stays true, and a newer server's orders hurt nobody else.

`recorded/link_protocol_1.json` is what a server of protocol 1 said before defaults were left out, and every field of
the link with its default. A recorded field that goes, a default that changes, or a new field without one breaks agents
in the field: that wants a new protocol number and a new recording, and the old one stays here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from control_play import OWNER, Play
from endpoint_play import NAME, UID, EndpointPlay
from ferryml.agent.jobs import JobOperator, JobRules
from ferryml.agent.operator import Hooks, Operator
from ferryml.agent.ports import EndpointTurn
from ferryml.agent.sync import Sync
from ferryml.agent.unread import Heard, Unreads, heard
from ferryml.backends.local.ledger import LocalLedger
from ferryml.bootstrap.server import HOOKS
from ferryml.compile.kubernetes.serving import order_mark
from ferryml.control import endpoints, jobs, sites
from ferryml.control import link as server_link
from ferryml.control.loops import settle
from ferryml.control.site_doctor import findings
from ferryml.domain import connection, link, orders, statuses
from ferryml.domain.link import Heartbeat, HeartbeatAnswer, Report, ReportsAnswer, Wish
from ferryml.domain.orders import EndpointOrder, Wire
from ferryml.domain.seen import StoredStatus
from ferryml.domain.sparse import sparse
from ferryml.domain.statuses import EndpointStatus, RolloutStatus
from ferryml.server.versions import Reports
from site_play import PlayClock, PlayGateway, PlayMachine

RECORDED = json.loads((Path(__file__).parent / "recorded" / "link_protocol_1.json").read_text())
FIELDS: dict[str, dict[str, dict[str, Any]]] = RECORDED["fields"]
MODULES = (orders, link, statuses, connection)
MODELS = {
    name: model
    for module in MODULES
    for name, model in vars(module).items()
    if isinstance(model, type) and issubclass(model, Wire) and model is not Wire
}


def test_what_a_server_of_before_said_is_read_whole_and_means_the_same() -> None:
    read = heard(RECORDED["answer"])
    assert read.unread == ()
    for wish, said in zip(read.wishes, RECORDED["answer"]["wishes"], strict=True):
        assert _as_far_as(said, wish.model_dump(mode="json")) == said
    assert heard({**RECORDED["answer"], "wishes": [sparse(wish) for wish in read.wishes]}) == read


def _as_far_as(said: Any, read: Any) -> Any:
    """What was read, without the fields that came later: those have a default, which is another test's."""
    if isinstance(said, dict) and isinstance(read, dict):
        return {key: _as_far_as(said[key], value) for key, value in read.items() if key in said}
    if isinstance(said, list) and isinstance(read, list) and len(said) == len(read):
        return [_as_far_as(before, now) for before, now in zip(said, read, strict=True)]
    return read


@pytest.mark.parametrize("name", FIELDS)
def test_no_field_goes_and_no_default_changes(name: str) -> None:
    fields = MODELS[name].model_fields
    for field, said in FIELDS[name].items():
        assert field in fields, f"{name}.{field} is what agents of protocol 1 read and write"
        if "default" not in said:
            assert fields[field].is_required(), f"{name}.{field} was always said"
        elif field != "protocol":
            told = fields[field].get_default()
            told = told.model_dump(mode="json") if isinstance(told, BaseModel) else json.loads(json.dumps(told))
            assert told == said["default"], f"{name}.{field} left out means {said['default']!r} to agents in the field"


@pytest.mark.parametrize("name", MODELS)
def test_new_fields_have_a_default(name: str) -> None:
    added = set(MODELS[name].model_fields) - set(FIELDS.get(name, ()))
    assert name not in FIELDS or not [field for field in added if MODELS[name].model_fields[field].is_required()]


def test_pods_of_a_revision_are_not_made_anew_by_an_upgrade() -> None:
    """Its mark is made of the whole order: a new field that is at its default must be no part of it."""
    revisions = [one for wish in heard(RECORDED["answer"]).wishes for one in getattr(wish.order, "revisions", ())]
    assert {one.revision: order_mark(one) for one in revisions} == RECORDED["marks"]


def _said(model: BaseModel, told: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for field, value in told.items():
        yield type(model).__name__, field
        part = getattr(model, field)
        inner = part.values() if isinstance(part, dict) else part if isinstance(part, tuple) else (part,)
        values = value.values() if isinstance(value, dict) and isinstance(part, dict) else value
        for one, each in zip(inner, values if isinstance(part, dict | tuple) else (value,), strict=True):
            if isinstance(one, BaseModel):
                yield from _said(one, each)


def test_orders_that_ask_nothing_new_are_said_in_the_words_of_before(play: Play) -> None:
    """What is asked here could be asked of protocol 1, so an agent of that protocol must be able to read it."""
    play.site()
    site = EndpointPlay(play)
    site.endpoint()
    site.deploy()
    play.job(name="train", limits={"timeout": 3600}, inputs={"n": 3}, environment_variables={"A": "1"})
    play.turns()
    for wish in play.wishes("cloud").wishes:
        strange = [(model, field) for model, field in _said(wish, sparse(wish)) if field not in FIELDS[model]]
        assert strange == []


# a newer server


class Endpoints:
    """Serves what it was asked for, at once."""

    def __init__(self) -> None:
        self.orders: list[EndpointOrder] = []

    def turn(self, wish: Wish, stored: StoredStatus | None, now: Any) -> EndpointTurn:
        assert isinstance(wish.order, EndpointOrder)
        self.orders.append(wish.order)
        rollout = wish.order.rollout
        done = RolloutStatus(rollout=rollout.rollout, state="promoted", since=now) if rollout else None
        return EndpointTurn(status=EndpointStatus(state="Succeeded", rollout=done))


class Newer:
    """A server of the next version as a site hears it: `asks` puts into an order what this version has no word for."""

    def __init__(self, play: Play) -> None:
        self.play = play
        self.asks: dict[str, Callable[[dict[str, Any]], None]] = {}
        self.upgraded = False

    def wishes(self, after: int, epoch: str, wait_s: float) -> Heard:
        answer = sparse(server_link.wishes(self.play.deps, "cloud", after, epoch, 0))
        answer["load"] = "low"
        for wish in answer.get("wishes", ()):
            if wish["uid"] in self.asks and wish["order"] and not self.upgraded:
                self.asks[wish["uid"]](wish["order"])
        return heard(json.loads(json.dumps(answer)))

    def report(self, epoch: str, reports: Sequence[Report]) -> ReportsAnswer:
        told = Reports.model_validate({"reports": [sparse(report) for report in reports]})
        return server_link.reports(self.play.deps, "cloud", epoch, told.reports)

    def heartbeat(self, beat: Heartbeat) -> HeartbeatAnswer:
        return sites.heartbeat(self.play.deps, "cloud", beat)


class Site:
    """The agent's parts over a machine that is played."""

    def __init__(self, play: Play, folder: Path) -> None:
        self.play, self.server, self.folder = play, Newer(play), folder
        self.machine, self.clock, self.endpoints = PlayMachine(), PlayClock(), Endpoints()
        self.gateway = PlayGateway(self.machine)
        self.start()

    def start(self) -> None:
        """Also anew, as an upgrade does."""
        self.ledger, self.unreads = LocalLedger(self.folder / "site.db"), Unreads()
        self.sync = Sync(self.server, self.ledger, self.clock, self.unreads)
        jobs = JobOperator(self.machine, self.gateway, JobRules(max_parallel=9))
        self.operator = Operator(self.ledger, jobs, Hooks(self.endpoints, unreads=self.unreads), self.clock)

    def upgrades(self) -> None:
        self.ledger.close()
        self.server.upgraded = True
        self.start()

    def turns(self, count: int = 3) -> None:
        for _ in range(count):
            self.play.turns()
            self.clock.passes(1)
            self.sync.pull(0)
            self.operator.tick()
            self.sync.push()
            self.server.heartbeat(self.unreads.tells(Heartbeat(version="1", at=self.clock())))
            while settle.tick(self.play.deps, HOOKS):
                pass


@pytest.fixture
def site(play: Play, tmp_path: Path) -> Iterator[Site]:
    play.site()
    made = Site(play, tmp_path)
    yield made
    made.ledger.close()


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    made = Play(tmp_path / "server")
    yield made
    made.close()


def prioritized(order: dict[str, Any]) -> None:
    order["priority"] = "high"


def rehearsed(order: dict[str, Any]) -> None:
    """Something new about a rollout only: without one the order is as ever."""
    if order.get("rollout"):
        order["rollout"]["rehearsal"] = True


def test_a_job_that_asks_for_more_waits_and_says_why_while_others_run(site: Site) -> None:
    play, uid = site.play, "job.team.new"
    site.server.asks[uid] = prioritized
    for name in ("before", "new", "after"):
        play.job(name=name)
    site.turns()
    assert [play.shown(name)["status"] for name in ("before", "new", "after")] == ["Running", "Queued", "Running"]
    made = play.shown("new")["ferry"]
    assert made["code"] == "AgentTooOld"
    assert "agent is too old" in made["reason"]
    assert "order.Job.priority" in made["reason"]
    assert [one["code"] for one in made["findings"]] == ["AgentTooOld"]
    doctor = next(one for one in findings(play.deps, OWNER, "cloud")["findings"] if one["check"] == "orders")
    assert (doctor["level"], doctor["code"]) == ("warning", "AgentTooOld")
    assert uid in doctor["evidence"]

    site.upgrades()
    site.turns()
    assert [play.shown(name)["status"] for name in ("before", "new", "after")] == ["Running"] * 3
    made = play.shown("new")["ferry"]
    assert (made["code"], made["findings"]) == ("", [])
    assert [launch.uid for launch in site.machine.launches].count("job.team.before") == 1
    assert not [one for one in findings(play.deps, OWNER, "cloud")["findings"] if one["check"] == "orders"]


def test_a_job_that_was_never_read_can_be_canceled(site: Site) -> None:
    play = site.play
    site.server.asks["job.team.canceled"] = prioritized
    play.job(name="canceled")
    site.turns()
    jobs.cancel(play.deps, OWNER, "team", "canceled")
    site.turns()
    assert play.shown("canceled")["status"] == "Canceled"
    assert site.machine.launches == []


def test_what_runs_goes_on_and_can_be_ended_when_its_order_grows(site: Site) -> None:
    play, uid = site.play, "job.team.train"
    play.job(name="train")
    site.turns()
    site.server.asks[uid] = prioritized
    with play.store.begin() as tx:
        row = tx.wish("cloud", uid)
        assert row is not None
        tx.put_wish("cloud", uid, {**dict(row.order or {}), "labels": {"a": "b"}}, lambda generation: row.grant)
    site.turns()
    made = play.shown("train")
    assert made["status"] == "Running"
    assert [one["code"] for one in made["ferry"]["findings"]] == ["AgentTooOld"]
    assert site.machine.observe(uid, 1).state == "running"
    jobs.cancel(play.deps, OWNER, "team", "train")
    site.turns(1)
    site.machine.ends(uid, 143)
    site.turns()
    assert play.shown("train")["status"] == "Canceled"


def test_an_endpoint_serves_on_says_what_it_waits_for_and_goes_on_after_the_upgrade(site: Site) -> None:
    people = EndpointPlay(site.play)
    people.endpoint()
    people.deploy()
    site.turns(5)
    assert people.shown()["provisioning_state"] == "Succeeded"
    site.server.asks[UID] = rehearsed
    people.update(environment_variables={"A": "1"})
    site.turns()
    served = site.endpoints.orders[-1]
    assert (served.rollout, len(served.revisions)) == (None, 1)
    for made in (people.seen(), people.shown()):
        assert made["ferry"]["code"] == "AgentTooOld"
        assert "rollout.rehearsal" in made["ferry"]["reason"]

    assert people.shown()["provisioning_state"] == "Updating"

    site.upgrades()
    site.turns(5)
    for made in (people.seen(), people.shown()):
        assert made["provisioning_state"] == "Succeeded"
        assert (made["ferry"]["code"], made["ferry"]["reason"]) == ("", "")
    assert site.endpoints.orders[-1].serving != served.serving


def test_an_endpoint_that_was_never_begun_is_not_said_to_be_made(site: Site) -> None:
    people = EndpointPlay(site.play)
    site.server.asks[UID] = prioritized
    endpoints.create(people.deps, OWNER, "team", {"name": NAME, "compute": "c1"})
    site.turns()
    made = people.seen()
    assert (made["provisioning_state"], made["ferry"]["code"]) == ("Creating", "AgentTooOld")
    site.upgrades()
    site.turns()
    made = people.seen()
    assert (made["provisioning_state"], made["ferry"]["code"]) == ("Succeeded", "")
