"""What the status of a pod of a deployment means, case by case."""

import json

import pytest

from ferryml.backends.kubernetes.serving_pods import Printed, Sight, has_restarted, is_readable, pod_sight, starts_of
from kube_play import AT
from kube_serving_play import IMPORT_FAILED, crashed, serves

LATER = "2024-05-01T00:00:31Z"
NOTHING = Printed()
INIT_FAILED = """\
User's init function failed
Traceback (most recent call last):
  File "/x/user_script.py", line 120, in invoke_init
  File "/var/azureml-app/code/score.py", line 1, in init
RuntimeError: no weights

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/x/server.py"
UserScriptException
"""
WORKERS = "[ERROR] Worker (pid:7) was sent SIGKILL! Perhaps out of memory?\n" * 3


def a_pod(status, **meta):
    notes = {"ferryml.dev/readiness": "5001/", "ferryml.dev/patience": "30"}
    return {"metadata": {"name": "p", "annotations": notes, **meta}, "status": status}


def waiting(reason, message="", key="containerStatuses", name="main"):
    state = {"waiting": {"reason": reason, "message": message}}
    return {"phase": "Pending", key: [{"name": name, "image": "i", "state": state}]}


def staging(state, last=None, restarts=0):
    stage = {"name": "stage", "state": state, "restartCount": restarts, "lastState": last or {}}
    return {"phase": "Pending", "initContainerStatuses": [stage]}


def runs(started=False, **more):
    status = crashed()
    status["containerStatuses"] = [{"name": "main", "started": started, "state": {"running": {}}, **more}]
    return status


def sight(status, printed=NOTHING, **meta):
    found = pod_sight(a_pod(status, **meta), printed)
    assert found is not None
    return found


def test_one_that_is_ready_takes_requests():
    assert sight(serves()) == Sight("ready")
    assert sight(serves(), deletionTimestamp=AT).state == "ending"


def test_one_that_was_evicted_is_nobodys():
    assert pod_sight(a_pod({"phase": "Failed", "reason": "Evicted"}), NOTHING) is None


def test_one_without_a_node_waits():
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
    found = sight({"phase": "Pending", "conditions": [condition]})
    assert (found.state, found.code, found.reason) == ("starting", "PodUnschedulable", "0/1 nodes")


@pytest.mark.parametrize(
    ("reason", "state", "code"),
    [
        ("ImagePullBackOff", "starting", "ImagePullLoopBackOff"),
        ("InvalidImageName", "failed", "ImagePullLoopBackOff"),
        ("CreateContainerConfigError", "starting", "ContainerCannotStart"),
    ],
)  # fmt: skip
def test_an_image_that_does_not_come(reason, state, code):
    found = sight(waiting(reason, "no  such\nthing"))
    assert (found.state, found.code) == (state, code)
    assert "no such thing" in found.reason
    assert bool(found.trouble) == (state == "starting")
    assert sight(waiting(reason, key="initContainerStatuses", name="stage")).code == code


def test_the_storage_initializer_says_what_it_does_and_why_it_failed():
    assert sight(staging({"running": {}})).reason == "bringing model, code and environment"
    words = json.dumps({"code": "StagingFailed", "message": "BlobMissing: gone"})
    ended = {"terminated": {"exitCode": 1, "message": words}}
    assert sight(staging(ended)) == Sight("exited", "StagingFailed", "BlobMissing: gone")
    again = staging({"waiting": {"reason": "CrashLoopBackOff"}}, ended, 3)
    assert sight(again).state == "failed"
    final = json.dumps({"code": "BadArgument", "message": "no score.py"})
    assert sight(staging({"terminated": {"exitCode": 1, "message": final}})).state == "failed"


def test_a_script_that_cannot_be_imported_fails_at_once():
    found = sight(crashed(), Printed(IMPORT_FAILED))
    assert (found.state, found.code) == ("failed", "UserScriptImportError")
    assert "absent_package" in found.reason
    assert "import absent_package" in found.tail


def test_init_that_raises_is_tried_some_times():
    states = [sight(crashed(restarts=number), Printed(INIT_FAILED)).state for number in (0, 1, 2, 3)]
    assert states == ["exited", "exited", "exited", "failed"]
    found = sight(crashed(restarts=3), Printed(INIT_FAILED))
    assert (found.code, found.reason) == ("UserScriptInitFailed", "init() raised RuntimeError: no weights")


def test_what_it_printed_is_asked_for_and_the_kubelets_words_do_for_now():
    found = sight(crashed(message="Killed by nobody"))
    assert found.wants_crash
    assert "Killed by nobody" in found.reason
    assert not sight(crashed(), Printed("")).wants_crash


def test_too_little_memory():
    found = sight(crashed(137, restarts=2, reason="OOMKilled"))
    assert (found.state, found.code) == ("failed", "PodOutOfMemory")
    assert "memory" in found.reason
    losing = sight(runs(), Printed(None, WORKERS))
    assert (losing.state, losing.code) == ("failed", "PodOutOfMemory")


def test_a_program_that_never_answered_is_told_apart_from_one_that_broke():
    found = sight(crashed(137, restarts=1, finishedAt=LATER), Printed(""))
    assert (found.state, found.code) == ("failed", "ResourceNotReady")
    assert "GET / on port 5001" in found.reason
    assert sight(crashed(137, restarts=1), Printed("")).code == "DeploymentCrashLoopBackOff"


def test_a_program_that_cannot_be_started():
    found = sight(crashed(128, restarts=3, reason="StartError", message="exec: no such file"))
    assert (found.state, found.code) == ("failed", "ContainerCannotStart")


def test_one_that_runs_and_does_not_answer():
    assert sight(runs()).reason == "the program runs; GET / on port 5001 does not succeed yet"
    assert sight(runs(started=True)).state == "unready"


def test_one_whose_node_fell_silent_did_not_fail():
    """The cluster itself takes back `Ready`; what a kubelet says of its containers stays as it was."""
    lost = runs(started=True)
    lost["conditions"] = [{"type": "Ready", "status": "False"}, {"type": "ContainersReady", "status": "True"}]
    assert sight(lost) == Sight("unready", "NodeLost", "the cluster has lost sight of its node")
    lost["conditions"][1]["status"] = "False"
    assert sight(lost).code == "ResourceNotReady"


def test_one_that_has_just_started_does_not_fail_yet():
    fresh = runs(started=True, state={"running": {"startedAt": "2026-01-01T00:00:05Z"}})
    for changed, state in (("2026-01-01T00:00:03Z", "starting"), ("2026-01-01T00:00:09Z", "unready")):
        fresh["conditions"] = [{"type": "Ready", "status": "False", "lastTransitionTime": changed}]
        assert sight(fresh).state == state


def test_where_to_read_what_was_printed():
    pod = a_pod(crashed(restarts=2))
    assert (starts_of(pod, "main"), has_restarted(pod, "main")) == (2, True)
    assert has_restarted(a_pod(crashed()), "main") is False
    assert is_readable(pod, "main")
    assert not is_readable(a_pod(waiting("ImagePullBackOff")), "main")
