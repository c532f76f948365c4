"""The life of a job, told as scripts, and what must hold in every possible life."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ferryml.domain.lifecycle import TERMINAL, JobTrack, Prepare, Rules, Seen, Start, Stop, decide, status_of
from ferryml.domain.orders import DatastorePath, EnvironmentOrder, JobOrder, OutputOrder, Residency, TreeRef
from ferryml.domain.seen import EnvSeen, JobSeen, Receipt
from ferryml.domain.statuses import LOG, Finding, OutputResult

T0 = datetime(2024, 5, 1, tzinfo=UTC)
TREE = TreeRef(digest="sha256:" + "a" * 64)
ENV = EnvironmentOrder(key="e1", pip=("numpy",))


def a_job(**changes: object) -> JobOrder:
    return JobOrder(workspace="w", name="j", compute="c", command="python train.py", environment=ENV).model_copy(
        update=changes
    )


@dataclass
class Play:
    """A script: each line says what is seen next and what must come of it."""

    order: JobOrder = field(default_factory=a_job)
    rules: Rules = field(default_factory=Rules)
    track: JobTrack = field(default_factory=JobTrack)
    now: datetime = T0
    seen: Seen = field(default_factory=Seen)
    effects: tuple[object, ...] = ()

    def sees(self, *effects: object, phase: str, after: float = 1, reason: str | None = None, **facts: object) -> Play:
        self.now += timedelta(seconds=after)
        self.seen = replace(self.seen, **facts)
        self.track, self.effects = decide(self.order, self.track, self.seen, self.now, self.rules)
        assert (self.track.phase, self.effects) == (phase, effects)
        if reason is not None:
            assert reason in self.track.reason
        return self

    def cancels(self) -> Play:
        self.order = self.order.model_copy(update={"cancel": True})
        return self

    def runs(self) -> Play:
        """To the middle of its life."""
        self.sees(Start(self.track.attempt), phase="Starting", environment=ready(), job=JobSeen())
        return self.sees(phase="Running", job=running())


def test_a_job_that_only_prepares_is_over_once_its_environment_is_there() -> None:
    play = Play(order=a_job(prepare_only=True))
    play.sees(Prepare(ENV), phase="Preparing")
    play.sees(phase="Preparing", environment=EnvSeen(state="making", progress="building the image"))
    play.sees(phase="Completed", environment=ready(image="r/x@sha256:1"), reason="ready on this site")
    assert status_of(play.track, play.order).environment_image == "r/x@sha256:1"


def ready(**more: object) -> EnvSeen:
    return EnvSeen(state="ready", python="/env/bin/python", lock="numpy==2.0").model_copy(update=more)


def running() -> JobSeen:
    return JobSeen(state="running")


def exited(exit_code: int | None = 0, **more: object) -> JobSeen:
    return JobSeen(state="exited", exit_code=exit_code, outputs_done=True).model_copy(update=more)


def receipt(**more: object) -> Receipt:
    return Receipt(seq=9, exit_code=0, forwarded=True, outputs={"model": OutputResult(tree=TREE)}).model_copy(
        update=more
    )


def test_a_good_life() -> None:
    play = Play()
    play.sees(Prepare(ENV), phase="Preparing")
    play.sees(phase="Preparing", environment=EnvSeen(state="making", progress="resolving"), reason="resolving")
    play.sees(Start(1), phase="Starting", environment=ready())
    play.sees(phase="Starting", job=JobSeen(state="staging", message="fetching model"), reason="fetching model")
    play.sees(phase="Running", job=running(), reason="")
    play.sees(phase="Finalizing", job=exited(), reason="handing over")
    play.sees(phase="Finalizing", receipt=receipt(forwarded=False, waiting=3), reason="3 of them wait")
    play.sees(phase="Completed", receipt=receipt())
    said = status_of(play.track, play.order)
    assert [t.phase for t in said.times] == ["Preparing", "Starting", "Running", "Finalizing", "Completed"]
    assert (said.exit_code, said.receipt, said.lock, said.environment_key) == (0, "9", "numpy==2.0", "e1")
    assert said.outputs["model"].tree == TREE


def test_starting_is_said_again_until_the_backend_has_it() -> None:
    play = Play().sees(Start(1), phase="Starting", environment=ready())
    play.sees(Start(1), phase="Starting")
    play.sees(phase="Starting", job=JobSeen(state="staging"))


def test_no_room_is_queued_with_the_reason() -> None:
    play = Play().sees(phase="Queued", environment=ready(), no_room="2 of 2 jobs are running", reason="2 of 2")
    play.sees(Start(1), phase="Starting", no_room="")


def test_a_life_too_short_to_be_seen_still_was_running() -> None:
    play = Play().sees(Start(1), phase="Starting", environment=ready())
    play.sees(phase="Finalizing", job=exited(started_at=T0))
    assert [t.phase for t in play.track.times] == ["Starting", "Running", "Finalizing"]


def test_environment_failure_names_the_package() -> None:
    failed = EnvSeen(state="failed", code="EnvironmentFailed", message="no such package: nmpy")
    play = Play().sees(Prepare(ENV), phase="Preparing")
    play.sees(phase="Failed", environment=failed, reason="nmpy")
    assert play.track.code == "EnvironmentFailed"


def test_a_failure_of_yesterday_is_tried_again() -> None:
    failed = EnvSeen(state="failed", message="disk full")
    Play().sees(Prepare(ENV), phase="Preparing", environment=failed).sees(phase="Failed", reason="disk full")


def test_user_failure_is_final_and_says_its_first_line() -> None:
    play = Play().runs()
    bad = exited(3, error_lines=("ValueError: no data", "more"))
    play.sees(phase="Finalizing", job=bad)
    play.sees(phase="Failed", receipt=receipt(), reason="exit code 3: ValueError: no data")
    assert (play.track.code, play.track.exit_code, play.track.attempt) == ("UserCodeFailed", 3, 1)


@pytest.mark.parametrize(("release", "told"), [((), False), (("logs",), True)])
def test_bound_logs_do_not_leave_by_the_status(release: tuple[str, ...], told: bool) -> None:
    play = Play(order=a_job(residency=Residency(zones=("eu",), release=release))).runs()
    bad = exited(3, error_lines=("KeyError: patient 42",))
    play.sees(phase="Failed", job=bad, receipt=receipt(), reason="patient 42" if told else "bound to eu")
    said = status_of(play.track, play.order)
    assert ("patient 42" in said.model_dump_json()) is told


def test_staging_failure_says_its_own_code_and_waits_for_nothing() -> None:
    play = Play().sees(Start(1), phase="Starting", environment=ready())
    play.sees(
        phase="Failed",
        job=exited(outputs_done=False, exit_code=None, code="DiskFull", message="no room for 3 GiB"),
        reason="3 GiB",
    )
    assert play.track.code == "DiskFull"


def test_outputs_that_never_arrive_fail_after_the_grace() -> None:
    play = Play(rules=Rules(upload_grace_s=60)).runs().sees(phase="Finalizing", job=exited(outputs_done=False))
    play.sees(phase="Finalizing", after=59)
    play.sees(phase="Failed", after=1, reason="60 s")
    assert play.track.code == "UploadFailed"


def test_a_cut_link_fails_nothing_however_long() -> None:
    play = Play(rules=Rules(upload_grace_s=60)).runs().sees(phase="Finalizing", job=exited())
    play.sees(phase="Finalizing", after=86_400, receipt=receipt(forwarded=False))
    play.sees(phase="Completed", receipt=receipt())


def test_an_output_that_the_server_will_never_take_is_not_completed() -> None:
    play = Play().runs().sees(phase="Failed", job=exited(), receipt=receipt(lost_outputs=("model is too large",)))
    assert play.track.code == "UploadFailed"


def test_machine_fault_tries_again_with_backoff_and_never_twice_at_once() -> None:
    play = Play(order=a_job(max_attempts=3)).runs()
    play.sees(phase="Queued", job=JobSeen(state="lost", message="the host restarted"), reason="the host restarted")
    assert (play.track.attempt, play.track.launched) == (2, False)
    play.sees(phase="Queued", job=JobSeen())
    play.sees(Start(2), phase="Starting", after=2)
    play.sees(phase="Running", job=running())
    play.sees(phase="Queued", job=exited(137, machine_fault=True), reason="4 s")
    play.sees(Start(3), phase="Starting", after=5, job=JobSeen())
    play.sees(phase="Running", job=running())
    play.sees(phase="Failed", job=JobSeen(state="absent"), reason="all 3 attempts")
    assert play.track.code == "MachineFailed"


def test_timeout_counts_running_time_of_all_attempts() -> None:
    play = Play(order=a_job(timeout_s=100))
    play.sees(Prepare(ENV), phase="Preparing", after=500)
    play.runs()
    play.sees(phase="Queued", after=60, job=JobSeen(state="lost"))
    play.sees(Start(2), phase="Starting", after=30, job=JobSeen())
    play.sees(phase="Running", job=running())
    play.sees(phase="Running", after=39)
    play.sees(Stop(2), phase="CancelRequested", after=1, reason="limits.timeout")
    play.sees(phase="Canceled", job=JobSeen(state="lost"))
    assert play.track.code == "TimedOut"


@pytest.mark.parametrize("before", ["new", "preparing", "running", "finalizing", "waiting for retry"])
def test_cancel_at_any_point(before: str) -> None:
    play = Play()
    match before:
        case "preparing":
            play.sees(Prepare(ENV), phase="Preparing")
        case "running":
            play.runs().cancels().sees(Stop(1), phase="CancelRequested").sees(Stop(1), phase="CancelRequested")
            play.seen = replace(play.seen, job=exited(143), receipt=receipt())
        case "finalizing":
            play.runs().sees(phase="Finalizing", job=exited(), receipt=receipt(forwarded=False))
        case "waiting for retry":
            play.runs().sees(phase="Queued", job=JobSeen(state="lost"))
            play.seen = replace(play.seen, job=JobSeen())
    if before == "finalizing":
        play.cancels().sees(phase="CancelRequested", reason="wait for the server")
        play.seen = replace(play.seen, receipt=receipt())
    play.cancels().sees(phase="Canceled", reason="on request")
    assert play.track.code == ""


def test_what_a_canceled_job_wrote_reaches_the_server_before_its_end_is_told() -> None:
    play = Play(rules=Rules(upload_grace_s=60)).runs().cancels().sees(Stop(1), phase="CancelRequested")
    play.sees(phase="CancelRequested", job=exited(143), receipt=receipt(forwarded=False), reason="wait for the server")
    play.sees(phase="CancelRequested", after=50)
    play.sees(phase="Canceled", after=10)


def test_a_canceled_job_may_hand_over_what_it_wrote_but_not_for_long() -> None:
    play = Play(rules=Rules(collect_grace_s=15)).runs().cancels().sees(Stop(1), phase="CancelRequested")
    play.sees(phase="CancelRequested", job=exited(143, outputs_done=False), reason="saving")
    play.sees(Stop(1), phase="Canceled", after=15)


def test_cancel_latches() -> None:
    play = Play().runs().cancels().sees(Stop(1), phase="CancelRequested")
    play.order = a_job(cancel=False)
    play.sees(Stop(1), phase="CancelRequested")


def test_notes_are_said_once() -> None:
    play = Play().sees(Start(1), phase="Starting", environment=ready(notes=("python 3.11 is the nearest",)))
    play.sees(phase="Running", job=JobSeen(state="running", notes=("image is not honoured",)))
    play.sees(phase="Running")
    assert play.track.notes == ("python 3.11 is the nearest", "image is not honoured")


# What must hold in every life

environments = st.builds(EnvSeen, state=st.sampled_from(["absent", "making", "ready", "failed"]))
receipts = st.none() | st.builds(Receipt, seq=st.just(1), forwarded=st.booleans())


@st.composite
def lives(draw: st.DrawFn) -> list[tuple[str, object, object, float, bool]]:
    turn = st.tuples(
        st.sampled_from(["stays", "moves", "dies", "host dies"]),
        environments,
        receipts,
        st.floats(0.1, 500),
        st.booleans(),
    )
    return draw(st.lists(turn, min_size=1, max_size=40))


@settings(max_examples=150, deadline=None)
@given(lives(), st.integers(1, 3), st.none() | st.integers(1, 300))
def test_invariants(
    life: list[tuple[str, EnvSeen, Receipt | None, float, bool]], attempts: int, timeout: int | None
) -> None:
    """A little machine plays the backend: live attempts never overlap, the end is the end, attempts are bounded."""
    order, track, now = a_job(max_attempts=attempts, timeout_s=timeout), JobTrack(), T0
    machine: dict[int, JobSeen] = {}
    onward = {
        "staging": JobSeen(state="running"),
        "running": exited(),
        "exited": exited(),
        "lost": JobSeen(state="lost"),
    }
    for event, env, got, seconds, cancel in life:
        now += timedelta(seconds=seconds)
        order = order.model_copy(update={"cancel": order.cancel or (cancel and event == "moves")})
        here = machine.get(track.attempt)
        if here is not None and event != "stays":
            gone = JobSeen(state="lost") if event == "host dies" and here.live else onward[here.state]
            machine[track.attempt] = gone
        before = track
        seen = Seen(environment=env, job=machine.get(track.attempt, JobSeen()), receipt=got)
        track, effects = decide(order, track, seen, now)
        if before.phase in TERMINAL:
            assert (track, effects) == (before, ())
        assert track.attempt <= attempts
        assert track.phase != "Completed" or before.phase == "Completed" or (got is not None and got.forwarded)
        for effect in effects:
            if isinstance(effect, Start):
                machine.setdefault(effect.attempt, JobSeen(state="staging"))
            elif isinstance(effect, Stop) and machine[effect.attempt].live:
                machine[effect.attempt] = exited(143)
        assert sum(job.live for job in machine.values()) <= 1
        assert track.phase in TERMINAL or [t.phase for t in track.times][-1] == track.phase
    order = order.model_copy(update={"cancel": True})
    for _ in range(4):
        now += timedelta(seconds=60)
        job = machine.get(track.attempt, JobSeen())
        track, effects = decide(order, track, Seen(job=job), now)
        for effect in effects:
            assert isinstance(effect, Stop)
            machine[effect.attempt] = exited(143, outputs_done=False)
    assert track.phase in TERMINAL
    assert not any(job.live for job in machine.values())


def test_a_limit_that_the_runner_held_by_itself_cancels_too() -> None:
    play = Play(a_job(timeout_s=5)).runs()
    late = exited(143, code="TimedOut", message="limits.timeout of 5 s was exceeded")
    play.sees(phase="Canceled", job=late, receipt=receipt())
    assert play.track.code == "TimedOut"


def test_outputs_written_to_a_datastore_are_told_by_their_place() -> None:
    place = DatastorePath(datastore="disk", kind="local", root="/data", path="out")
    order = a_job(outputs={"placed": OutputOrder(place=place), "model": OutputOrder()})
    play = Play(order).runs().sees(phase="Completed", job=exited(0), receipt=receipt())
    told = status_of(play.track, order).outputs
    assert told["placed"] == OutputResult(place=place)
    assert told["model"].tree == TREE
    failed = Play(order).sees(Start(1), phase="Starting", environment=ready())
    failed.sees(phase="Failed", job=exited(None, code="StagingFailed", message="m"))
    assert status_of(failed.track, order).outputs == {}


def test_what_a_bound_job_printed_does_not_leave_its_site() -> None:
    track = JobTrack(phase="Failed", exit_code=1, error_lines=("ValueError: row 1,2,3",), reason="row 1,2,3")
    told = status_of(track, a_job(residency=Residency(zones=("z",), release=("metrics",))))
    assert "1,2,3" not in told.model_dump_json()
    open_ = status_of(track, a_job(residency=Residency(zones=("z",), release=("logs",))))
    assert open_.error_lines == track.error_lines


def test_where_a_site_keeps_its_logs_no_line_of_them_is_told() -> None:
    quote = Finding(code="UserCodeFailed", cause="it failed", evidence=f"{LOG}: row 1,2,3", check="program.failed")
    play = Play(rules=Rules(logs_stay=True)).runs()
    play.sees(phase="Failed", job=exited(1, error_lines=("row 1,2,3",), findings=(quote,)), receipt=receipt())
    told = status_of(play.track, play.order, play.rules)
    assert "1,2,3" not in told.model_dump_json()
    assert (told.logs, told.reason) == ("site", "exit code 1; what it printed stays on its site")
    assert status_of(play.track, play.order).logs == "server"
