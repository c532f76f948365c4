"""The link with its real ends: whatever is lost, repeated, restarted or restored, both sides come to agree."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from ferryml.agent.jobs import JobOperator, JobRules
from ferryml.agent.operator import Hooks, Operator
from ferryml.agent.sync import Sync
from ferryml.agent.unread import Heard, heard
from ferryml.backends.local.ledger import LocalLedger
from ferryml.control import link as server_link
from ferryml.control.context import Deps
from ferryml.control.ports import Row
from ferryml.domain.errors import Unavailable
from ferryml.domain.lifecycle import TERMINAL
from ferryml.domain.link import Heartbeat, HeartbeatAnswer, Report, ReportsAnswer
from ferryml.domain.sparse import sparse
from ferryml.domain.statuses import GoneStatus, JobStatus
from ferryml.settings import ServerSettings
from ferryml.store.database import SqlStore, open_store
from site_play import PlayClock, PlayGateway, PlayMachine, a_job

SITE = "site"
NAMES = st.sampled_from(["a", "b", "c"])
FATES = st.sampled_from(["arrives", "arrives", "request lost", "answer lost", "twice"])
T = TypeVar("T")


class Transport:
    """Calls the server's use cases in process; fate decides what becomes of the next calls."""

    def __init__(self, deps: Deps) -> None:
        self.deps = deps
        self.fate = "arrives"

    def wishes(self, after: int, epoch: str, wait_s: float) -> Heard:
        answer = self._carry(lambda: server_link.wishes(self.deps, SITE, after, epoch, 0))
        return heard(sparse(answer))

    def report(self, epoch: str, reports: Sequence[Report]) -> ReportsAnswer:
        sent = [Report.model_validate(sparse(report)) for report in reports]
        return self._carry(lambda: server_link.reports(self.deps, SITE, epoch, sent))

    def heartbeat(self, beat: Heartbeat) -> HeartbeatAnswer:
        raise NotImplementedError

    def _carry(self, call: Callable[[], T]) -> T:
        if self.fate == "request lost":
            raise Unavailable("ServerUnreachable", "lost on the way there")
        answer = call()
        if self.fate == "twice":
            answer = call()
        if self.fate == "answer lost":
            raise Unavailable("ServerUnreachable", "lost on the way back")
        return answer


class Play(RuleBasedStateMachine):
    """Server and site, each with its memory on disk; the machine outlives the agent."""

    template: Path
    site_rules: JobRules

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="ferry-link-"))
        shutil.copy(self.template, self.folder / "ferry.db")
        self.clock, self.machine = PlayClock(), PlayMachine()
        self.gateway = PlayGateway(self.machine)
        self.epochs = 0
        self.wished: dict[str, Any] = {}
        self.saved: dict[str, Any] | None = None
        self.tombstoned: set[str] = set()
        self.finished: dict[str, tuple[str, int]] = {}
        self.open_server()
        with self.store.begin() as tx:
            tx.insert(Row(kind="site", name=SITE))
        self.open_site()

    # the two programs

    def open_server(self) -> None:
        self.store = SqlStore(f"sqlite:///{self.folder}/ferry.db")
        hands: Any = None
        deps = Deps(self.store, hands, hands, hands, hands, ServerSettings(loop_batch=2), hands)
        self.transport = Transport(deps)

    def open_site(self) -> None:
        self.ledger = LocalLedger(self.folder / "site.db")
        self.sync = Sync(self.transport, self.ledger, self.clock)
        jobs = JobOperator(self.machine, self.gateway, self.site_rules)
        self.operator = Operator(self.ledger, jobs, Hooks(), self.clock)

    def order(self, name: str, order: Any) -> None:
        self.wished[f"job.w.{name}"] = order
        with self.store.begin() as tx:
            body = None if order is None else order.model_dump(mode="json")
            tx.put_wish(SITE, f"job.w.{name}", body, lambda generation: f"grant {generation}")

    # what people do

    @rule(name=NAMES)
    def wishes(self, name: str) -> None:
        if f"job.w.{name}" not in self.wished:
            self.order(name, a_job(name))

    @rule(name=NAMES)
    def cancels(self, name: str) -> None:
        if self.wished.get(f"job.w.{name}") is not None:
            self.order(name, a_job(name, cancel=True))

    @rule(name=NAMES)
    def deletes(self, name: str) -> None:
        if self.wished.get(f"job.w.{name}") is not None:
            self.tombstoned.add(f"job.w.{name}")
            self.order(name, None)

    # what happens on the machine

    @rule(name=NAMES, exit_code=st.sampled_from([0, 1]))
    def ends(self, name: str, exit_code: int) -> None:
        self.machine.ends(f"job.w.{name}", exit_code)

    @rule(name=NAMES)
    def machine_fails(self, name: str) -> None:
        self.machine.loses(f"job.w.{name}")

    @rule(seconds=st.sampled_from([0.1, 3, 100]))
    def time_passes(self, seconds: float) -> None:
        self.clock.passes(seconds)

    # what the programs do

    @rule(fate=FATES)
    def pulls(self, fate: str) -> None:
        self.call(fate, lambda: self.sync.pull(0))

    @rule(fate=FATES)
    def pushes(self, fate: str) -> None:
        self.call(fate, self.sync.push)

    @rule(fate=FATES, seconds=st.sampled_from([0.1, 100]))
    def turns(self, fate: str, seconds: float) -> None:
        self.clock.passes(seconds)
        self.call(fate, lambda: self.sync.pull(0))
        self.operator.tick()
        self.call(fate, self.sync.push)

    @rule()
    def all_end(self) -> None:
        for uid in self.wished:
            self.machine.ends(uid)
        for _ in range(3):
            self.turns("arrives", 0.1)

    @rule()
    def ticks(self) -> None:
        self.operator.tick()

    @rule()
    def agent_restarts(self) -> None:
        self.operator.close()
        self.ledger.close()
        self.open_site()

    # what happens to the server

    @rule()
    def backs_up(self) -> None:
        self.store.close()
        shutil.copy(self.folder / "ferry.db", self.folder / "backup.db")
        self.saved = dict(self.wished)
        self.reopen()

    @precondition(lambda self: self.saved is not None)
    @rule()
    def restores(self) -> None:
        self.store.close()
        for left in self.folder.glob("ferry.db*"):
            left.unlink()
        shutil.copy(self.folder / "backup.db", self.folder / "ferry.db")
        self.wished = dict(self.saved or {})
        self.epochs += 1
        self.reopen()
        with self.store.begin() as tx:
            tx.set_epoch(f"epoch-{self.epochs}")

    def reopen(self) -> None:
        self.open_server()
        self.sync = Sync(self.transport, self.ledger, self.clock)

    def call(self, fate: str, work: Callable[[], object]) -> None:
        self.transport.fate = fate
        try:
            work()
        except Unavailable:
            assert fate in ("request lost", "answer lost")
        finally:
            self.transport.fate = "arrives"

    # what must always hold

    @invariant()
    def nothing_is_deleted_without_a_tombstone(self) -> None:
        mine = {wish.uid for wish in self.ledger.wishes()}
        for launch in self.machine.launches:
            assert launch.uid in mine or launch.uid in self.tombstoned

    @invariant()
    def what_has_ended_never_runs_again(self) -> None:
        launched = [launch.uid for launch in self.machine.launches]
        for stored in self.ledger.statuses():
            if isinstance(stored.status, JobStatus) and stored.status.phase in TERMINAL:
                self.finished.setdefault(stored.uid, (stored.status.phase, launched.count(stored.uid)))
                assert self.finished[stored.uid][0] == stored.status.phase
        for uid, (_, times) in self.finished.items():
            assert launched.count(uid) == times

    @invariant()
    def an_attempt_starts_once(self) -> None:
        keys = [(launch.uid, launch.attempt) for launch in self.machine.launches]
        assert len(keys) == len(set(keys)) or self.tombstoned

    def teardown(self) -> None:
        """The link is good again: both sides come to agree."""
        try:
            for _ in range(40):
                for name in ("a", "b", "c"):
                    self.machine.ends(f"job.w.{name}")
                self.clock.passes(100)
                self.sync.pull(0)
                self.operator.tick()
                self.sync.push()
            self.agree()
        finally:
            self.operator.close()
            self.store.close()
            self.ledger.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def agree(self) -> None:
        with self.store.begin() as tx:
            for uid, order in self.wished.items():
                report = tx.report(SITE, uid)
                assert report is not None, f"{uid} was never reported"
                if order is None:
                    assert isinstance(report.status, GoneStatus), report
                else:
                    assert isinstance(report.status, JobStatus), report
                    assert report.status.phase in TERMINAL, report
                    wish = tx.wish(SITE, uid)
                    assert wish is not None
                    assert report.generation == wish.generation
            site = tx.get("site", "", SITE)
        orphans = set(site.status.get("orphans", {})) if site else set()
        for wish in self.ledger.wishes():
            if wish.uid not in self.wished and wish.order is not None:
                assert wish.uid in orphans, "unknown work must be listed"
        assert not any(stored.unsent for stored in self.ledger.statuses())


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty database, made once."""
    path = tmp_path_factory.mktemp("link") / "ferry.db"
    open_store(f"sqlite:///{path}").close()
    return path


SERIAL = JobRules(max_parallel=2, keep_finished_s=60)
BESIDE = JobRules(max_parallel=2, keep_finished_s=60, side_by_side=3, starts_a_turn=2)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("rules", [SERIAL, BESIDE], ids=["one after another", "side by side"])
def test_both_sides_come_to_agree(template: Path, rules: JobRules) -> None:
    machine = type("LinkPlay", (Play,), {"template": template, "site_rules": rules})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=25,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
