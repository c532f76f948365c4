"""What gateways pass on is applied once, in order, and only where it may be."""

import base64
import json

import pytest

from control_play import OWNER, WORKSPACE, bound_job, said
from ferryml.control import journal, logs
from ferryml.domain.errors import Refused
from ferryml.domain.link import Journal, JournalEntry, MlflowCall, OutputRecord
from ferryml.domain.orders import TreeRef

TREE = TreeRef(digest="sha256:" + "c" * 64, size=3)


def call(route, provisional="", **body):
    text = base64.b64encode(json.dumps(body).encode()).decode()
    return MlflowCall(method="POST", path=f"api/2.0/mlflow/{route}", body=text, provisional=provisional)


def log_of(play, name):
    return logs.read(play.deps, OWNER, WORKSPACE, name, "user_logs/std_log.txt", (0, 9999), 0).data.decode()


def test_logs_are_appended_and_replays_change_nothing(play):
    play.site()
    name = play.running()
    for _ in range(2):
        answer = play.entries("cloud", name, said("one\n"), said("two\n", 4))
        assert answer.acknowledged == {f"job.{WORKSPACE}.{name}/1": 2}
    assert log_of(play, name) == "one\ntwo\n"


def test_a_gap_after_a_restore_is_said_in_the_log(play):
    play.site()
    name = play.running()
    play.entries("cloud", name, said("late\n", 1000), first=50)
    text = log_of(play, name)
    assert len(text) == 1005
    assert "lost when the server was restored" in text
    assert text.endswith("late\n")


def test_paths_may_not_escape(play):
    play.site()
    name = play.running()
    answer = play.entries("cloud", name, said("x", path="../../etc/passwd"), said("good"))
    assert answer.refused[f"job.{WORKSPACE}.{name}/1/1"]["code"] == "PathEscapes"
    assert answer.acknowledged == {f"job.{WORKSPACE}.{name}/1": 2}
    assert log_of(play, name) == "good"


def test_an_older_attempt_writes_no_more(play):
    play.site()
    name = play.running()
    play.entries("cloud", name, said("second"), attempt=2)
    answer = play.entries("cloud", name, said("first"), attempt=1)
    assert answer.refused[f"job.{WORKSPACE}.{name}/1/1"]["code"] == "StaleAttempt"
    assert log_of(play, name) == "second"


def test_unknown_work_is_neither_taken_nor_refused(play):
    play.site()
    name = play.running()
    grant = play.grant("cloud", name)
    with play.store.begin() as tx:
        tx.delete("job", WORKSPACE, name)
    entry = JournalEntry(uid=f"job.{WORKSPACE}.{name}", attempt=1, seq=1, grant=grant, item=said("x"))
    answer = journal.take(play.deps, "cloud", Journal(entries=(entry,)))
    assert (answer.acknowledged, answer.refused) == ({}, {})


@pytest.mark.parametrize("forge", ["other site", "other job", "garbage", "changed"])
def test_grants_of_others_open_nothing(play, forge):
    play.site()
    play.site("edge", "edge", "c2")
    name, other = play.running(), play.running(name="other")
    grant = play.grant("cloud", name)
    site = "edge" if forge == "other site" else "cloud"
    if forge == "other job":
        grant = play.grant("cloud", other)
    elif forge == "garbage":
        grant = "x.y.z"
    elif forge == "changed":
        head, body, sign = grant.split(".")
        claims = json.loads(base64.urlsafe_b64decode(body + "=="))
        forged = base64.urlsafe_b64encode(json.dumps({**claims, "workspace": "other"}).encode()).decode().rstrip("=")
        grant = f"{head}.{forged}.{sign}"
    uid = f"job.{WORKSPACE}.{name}"
    entry = JournalEntry(uid=uid, attempt=1, seq=1, grant=grant, item=said("stolen"))
    answer = journal.take(play.deps, site, Journal(entries=(entry,)))
    assert answer.refused[f"{uid}/1/1"]["code"] in ("BadGrant", "NotYourSite")
    assert log_of(play, name) == ""


def test_mlflow_calls_are_replayed_with_real_run_ids(play):
    play.site()
    name = play.running()
    answer = play.entries(
        "cloud", name, call("runs/create", "prov-1", run_name="child"),
        call("runs/log-metric", run_id="prov-1", key="acc", value=0.5),
    )  # fmt: skip
    made = answer.results[f"job.{WORKSPACE}.{name}/1/1"]["run"]["info"]["run_id"]
    assert play.tracking.runs[made].metrics == {"acc": 0.5}
    assert play.tracking.runs[made].tags == {"ferry.provisional": "prov-1"}
    play.entries("cloud", name, call("runs/log-metric", run_id="prov-1", key="loss", value=1), first=3)
    assert play.tracking.runs[made].metrics == {"acc": 0.5, "loss": 1.0}
    assert {job for _, _, job in play.tracking.calls} == {name}


def test_a_child_run_is_made_once_even_if_its_acknowledgement_was_lost(play):
    play.site()
    name = play.running()
    first = play.entries("cloud", name, call("runs/create", "prov-1"))
    again = play.entries("cloud", name, call("runs/create", "prov-1"), first=2)
    ids = [next(iter(answer.results.values()))["run"]["info"]["run_id"] for answer in (first, again)]
    assert ids[0] == ids[1]


def test_mlflow_away_stops_that_stream_only(play):
    play.site()
    name, other = play.running(), play.running(name="other")
    play.tracking.down = True
    answer = play.entries("cloud", name, said("a"), call("runs/log-metric", run_id="x", key="k", value=1), said("b", 1))
    assert answer.acknowledged == {f"job.{WORKSPACE}.{name}/1": 1}
    assert play.entries("cloud", other, said("c")).acknowledged == {f"job.{WORKSPACE}.{other}/1": 1}
    play.tracking.down = False
    run = play.shown(name)["mlflow_run_id"]
    rest = play.entries("cloud", name, call("runs/log-metric", run_id=run, key="k", value=1), said("b", 1), first=2)
    assert rest.acknowledged == {f"job.{WORKSPACE}.{name}/1": 3}
    assert log_of(play, name) == "ab"


def test_a_call_that_mlflow_never_takes_is_refused_and_passed_over(play):
    play.site()
    name = play.running()
    answer = play.entries("cloud", name, call("runs/log-metric", run_id="nobody", key="k", value=1), said("on"))
    assert answer.refused[f"job.{WORKSPACE}.{name}/1/1"]["code"] == "BadRequest"
    assert log_of(play, name) == "on"


def test_a_body_that_is_still_to_come_stops_the_stream(play):
    play.site()
    name = play.running()
    later = MlflowCall(method="POST", path="api/2.0/mlflow/runs/log-batch", blob=TREE.digest)
    answer = play.entries("cloud", name, later, said("x"))
    assert answer.acknowledged == {f"job.{WORKSPACE}.{name}/1": 0}
    assert answer.refused == {}


def test_what_is_bound_does_not_pass(play):
    name = bound_job(play)
    answer = play.entries(
        "onprem", name, said("secret"), call("runs/log-parameter", run_id="x", key="p", value="secret"),
        OutputRecord(name="default", tree=TREE), OutputRecord(name="default", tree=TREE, bound=True),
    )  # fmt: skip
    codes = [error["code"] for error in answer.refused.values()]
    assert codes == ["ResidencyViolation"] * 3
    assert answer.acknowledged == {f"job.{WORKSPACE}.{name}/1": 4}
    with play.store.read() as tx:
        assert tx.blob_places(WORKSPACE, [TREE.digest])[TREE.digest][1] == ("onprem",)
        assert tx.list_logs(WORKSPACE, f"job.{WORKSPACE}.{name}") == []


def test_too_many_entries_are_refused_whole(play):
    play.site()
    name = play.running()
    with pytest.raises(Refused):
        play.entries("cloud", name, *[said("")] * (journal.MAX_ENTRIES + 1))


def test_data_that_is_no_base64_is_refused(play):
    play.site()
    name = play.running()
    bad = said("x").model_copy(update={"data": "%%%"})
    assert next(iter(play.entries("cloud", name, bad).refused.values()))["code"] == "BadRequest"
