"""The job half of the operator, against a machine that does what it is told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from ferryml.agent.jobs import JobOperator, JobRules, track_of
from ferryml.domain.errors import Unavailable
from ferryml.domain.lifecycle import Rules
from ferryml.domain.link import Wish
from ferryml.domain.orders import JobOrder
from ferryml.domain.seen import ENVIRONMENT_LOG, EnvSeen, JobSeen, StoredStatus
from ferryml.domain.statuses import GoneStatus, JobStatus
from site_play import T0, PlayGateway, PlayMachine, a_job, a_wish


class Desk:
    """One job's turns, with the ledger's row kept by hand."""

    def __init__(self, order: JobOrder | None = None, no_room: str = "", **rules: Any) -> None:
        self.machine = PlayMachine()
        self.gateway = PlayGateway(self.machine)
        made = JobRules(lifecycle=Rules(backoff_min_s=1), **rules)
        self.operator = JobOperator(self.machine, self.gateway, made, lambda: no_room)
        self.wish = a_wish(order or a_job())
        self.stored: StoredStatus | None = None
        self.now = T0

    def turn(self, after: float = 1, wish: Wish | None = None) -> str:
        self.wish = wish or self.wish
        self.now += timedelta(seconds=after)
        self.operator.begin_turn()
        turn = self.operator.turn(self.wish, self.stored, self.now)
        if turn is not None:
            self.stored = StoredStatus(
                uid=self.wish.uid, generation=self.wish.generation, attempt=turn.attempt, version=1, acknowledged=1,
                status=turn.status, memory=turn.memory, at=self.now,
            )  # fmt: skip
        status = self.stored.status if self.stored else None
        return status.phase if isinstance(status, JobStatus) else "Gone" if isinstance(status, GoneStatus) else ""

    @property
    def status(self) -> JobStatus:
        assert self.stored is not None
        assert isinstance(self.stored.status, JobStatus)
        return self.stored.status


def test_a_job_runs_to_its_end() -> None:
    desk = Desk()
    assert [desk.turn(), desk.turn(), desk.turn()] == ["Preparing", "Starting", "Running"]
    desk.machine.ends("job.w.j")
    assert desk.turn() == "Completed"
    assert desk.gateway.admitted == [("job.w.j", 1)]
    assert desk.gateway.dismissed == []
    for _ in range(3):
        desk.turn()
    assert desk.gateway.dismissed == ["job.w.j"]


def test_an_end_that_was_not_written_down_is_found_again() -> None:
    """The agent was killed between deciding and writing: the gateway must still know what it received."""
    desk = Desk()
    for _ in range(3):
        desk.turn()
    desk.machine.ends("job.w.j")
    before = desk.stored
    assert desk.turn() == "Completed"
    assert desk.operator.active(desk.wish, desk.stored)
    desk.stored = before
    desk.operator = JobOperator(desk.machine, desk.gateway, JobRules())
    assert desk.gateway.dismissed == []
    assert desk.turn() == "Completed"
    desk.operator = JobOperator(desk.machine, desk.gateway, JobRules())
    desk.turn()
    assert desk.gateway.dismissed == ["job.w.j"]
    assert not desk.operator.active(desk.wish, desk.stored)


def test_the_launch_has_what_the_runner_needs() -> None:
    desk = Desk()
    desk.turn(), desk.turn()
    launch = desk.machine.launches[0]
    assert (launch.gateway_url, launch.env_key, launch.previous_outputs) == (desk.gateway.url, "e1", {})
    assert launch.token.startswith("token-job.w.j-1")


def test_a_retry_gets_the_outputs_so_far() -> None:
    desk = Desk()
    desk.turn(), desk.turn(), desk.turn()
    desk.machine.loses("job.w.j")
    assert [desk.turn(), desk.turn(2)] == ["Queued", "Starting"]
    again = desk.machine.launches[1]
    assert (again.attempt, again.log_prefix) == (2, "retry-001/")
    assert again.previous_outputs["checkpoints"].digest.endswith("1")


def test_a_forged_grant_fails_the_job_and_starts_nothing() -> None:
    desk = Desk()
    desk.gateway.forged.add("grant-1")
    assert desk.turn() == "Failed"
    assert desk.status.code == "BadGrant"
    assert desk.machine.launches == []


def test_no_more_jobs_than_allowed() -> None:
    desk = Desk(max_parallel=1)
    desk.machine.attempts["job.w.other", 1] = JobSeen(state="running")
    desk.machine.environments["e1"] = EnvSeen(state="ready")
    assert desk.turn() == "Queued"
    assert "1 of at most 1" in desk.status.reason
    desk.machine.ends("job.w.other")
    assert desk.turn() == "Starting"


def test_no_room_on_the_disk_is_said() -> None:
    desk = Desk(no_room="less than 5 bytes are free")
    desk.machine.environments["e1"] = EnvSeen(state="ready")
    assert desk.turn() == "Queued"
    assert desk.status.reason == "less than 5 bytes are free"


def test_a_failed_environment_is_in_the_log_too() -> None:
    desk = Desk()
    desk.turn()
    desk.machine.environments["e1"] = EnvSeen(state="failed", code="EnvironmentFailed", message="no such package: nmpy")
    assert desk.turn() == "Failed"
    assert b"nmpy" in desk.gateway.logs["job.w.j", ENVIRONMENT_LOG]


def test_a_finished_job_is_left_alone_then_cleaned_once() -> None:
    desk = Desk(keep_finished_s=60)
    desk.turn(), desk.turn()
    desk.machine.ends("job.w.j")
    desk.turn()
    stored = desk.stored
    assert desk.turn() == "Completed"
    assert desk.stored is stored
    assert not desk.operator.active(desk.wish, desk.stored)
    desk.turn(100), desk.turn(100)
    assert desk.machine.cleaned == ["job.w.j"]


def test_what_the_server_has_not_heard_of_is_not_cleaned() -> None:
    desk = Desk(keep_finished_s=0)
    desk.turn(), desk.turn()
    desk.machine.ends("job.w.j")
    desk.turn()
    assert desk.stored is not None
    desk.stored = desk.stored.model_copy(update={"acknowledged": 0})
    desk.turn()
    assert desk.machine.cleaned == []


def test_a_tombstone_ends_cleans_and_says_gone() -> None:
    desk = Desk()
    desk.turn(), desk.turn(), desk.turn()
    gone = a_wish(None, generation=2, cursor=2)
    assert desk.turn(wish=gone) == "Running"
    assert desk.machine.killed == [("job.w.j", 1)]
    assert desk.turn() == "Gone"
    assert desk.machine.attempts == {}
    assert desk.stored is not None
    assert track_of(desk.stored).launched


def test_a_finished_job_that_is_wished_again_says_its_end_and_does_not_run() -> None:
    desk = Desk()
    desk.turn(), desk.turn()
    desk.machine.ends("job.w.j")
    desk.turn()
    assert desk.turn(wish=a_wish(None, generation=2, cursor=2)) == "Gone"
    assert desk.turn(wish=a_wish(a_job(), generation=1, cursor=9)) == "Completed"
    assert len(desk.machine.launches) == 1


def test_a_job_of_which_nothing_is_heard_is_left_alone_for_a_while() -> None:
    desk = Desk(recheck_s=10)
    desk.turn(), desk.turn(), desk.turn()
    desk.machine.news = set()
    desk.machine.ends("job.w.j")
    assert [desk.turn(), desk.turn()] == ["Running", "Running"]
    desk.machine.news = {"job.w.j"}
    assert desk.turn() == "Completed"


def test_time_is_looked_at_all_the_same() -> None:
    desk = Desk(a_job(timeout_s=5), recheck_s=10)
    desk.turn(), desk.turn(), desk.turn()
    desk.machine.news = set()
    assert desk.turn(after=6) == "Running"
    assert desk.turn(after=6) == "CancelRequested"


def test_a_new_wish_is_news() -> None:
    desk = Desk(recheck_s=1000)
    desk.turn(), desk.turn(), desk.turn()
    desk.machine.news = set()
    assert desk.turn(wish=a_wish(a_job(cancel=True), generation=2)) == "CancelRequested"


def test_a_gateway_that_is_away_does_not_keep_a_job_from_being_stopped() -> None:
    desk = Desk()
    desk.turn(), desk.turn(), desk.turn()

    def away(uid: str, grant: str) -> None:
        raise Unavailable("Unavailable", "the gateway is away")

    desk.gateway.renew = away  # type: ignore[method-assign]
    desk.turn(wish=a_wish(a_job(cancel=True), generation=2))
    assert desk.machine.killed == [("job.w.j", 1)]


def test_one_attempt_that_cannot_be_looked_at_stops_nobody() -> None:
    desk = Desk()
    desk.turn(), desk.turn()
    observe = desk.machine.observe

    def broken(uid: str, attempt: int) -> JobSeen:
        if uid == "job.w.other":
            raise Unavailable("Unavailable", "its gateway is away")
        return observe(uid, attempt)

    desk.machine.attempts["job.w.other", 1] = JobSeen(state="running")
    desk.machine.observe = broken  # type: ignore[method-assign]
    assert desk.turn() == "Running"


def test_a_job_whose_memory_was_removed_goes_on_with_the_next_attempt() -> None:
    desk = Desk()
    desk.gateway.heard_of["job.w.j"] = 2
    assert [desk.turn(), desk.turn(60), desk.turn(), desk.turn()] == ["Queued", "Preparing", "Starting", "Running"]
    assert desk.gateway.admitted == [("job.w.j", 3)]
    assert desk.machine.launches[0].previous_outputs["checkpoints"].digest.endswith("2")


def test_what_is_here_is_taken_up_although_nothing_is_remembered() -> None:
    desk = Desk()
    desk.gateway.heard_of["job.w.j"] = 1
    desk.machine.attempts["job.w.j", 1] = JobSeen(state="running")
    assert desk.turn() == "Running"
    assert desk.machine.launches == []


def test_what_cannot_be_seen_is_neither_lost_nor_stopped() -> None:
    desk = Desk()
    desk.turn(), desk.turn(), desk.turn()
    desk.machine.attempts["job.w.j", 1] = JobSeen(state="unknown", message="no rights there")
    assert desk.turn() == "Running"
    assert desk.status.reason == "no rights there"
    desk.wish = desk.wish.model_copy(update={"generation": 2, "order": a_job(cancel=True)})
    assert desk.turn() == "Running"
    desk.machine.attempts["job.w.j", 1] = JobSeen(state="running")
    assert desk.turn() == "CancelRequested"
    assert len(desk.machine.launches) == 1
