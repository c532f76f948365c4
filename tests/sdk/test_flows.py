"""Waits, logs and outputs, against the real use cases."""

import pytest

from control_play import done, said
from ferryml.domain.errors import NotFound, Refused, Unauthenticated, Unavailable
from ferryml.domain.spec import Data
from ferryml.sdk import flows
from ferryml.sdk.flow import Answer, Pause
from flow_play import play


def ended(desk, name, phase="Completed", **status):
    desk.job(name=name)
    desk.turns()
    desk.reports("cloud", name, "Running")
    desk.entries("cloud", name, said("one\n"))
    desk.reports("cloud", name, phase, 2, **status)
    desk.turns()


def test_waiting_hears_each_change_once(desk, client):
    ended(desk, "w1", "Failed")
    heard = []
    assert client.jobs.wait("w1", heard.append)["status"] == "Failed"
    assert [job["status"] for job in heard] == ["Failed"]


def test_a_log_is_copied_to_its_last_byte(desk, client):
    desk.job(name="s1")
    desk.turns()
    desk.reports("cloud", "s1", "Running")
    desk.entries("cloud", "s1", said("one\n"))
    heard = []

    def write(data):
        heard.append(data)
        if len(heard) == 1:
            desk.entries("cloud", "s1", said("two\n", 4), first=2)
            desk.reports("cloud", "s1", "Completed", 2)
            desk.turns()

    assert client.jobs.stream("s1", write)["status"] == "Completed"
    assert b"".join(heard) == b"one\ntwo\n"


def test_outputs_that_are_not_there_are_named(desk, client, tmp_path):
    tree = desk.folder({"outputs/a": b"a"})
    ended(desk, "o1", outputs=done(default=tree))
    assert [file.name for file in client.jobs.download("o1", tmp_path / "x")] == ["a"]
    with pytest.raises(NotFound, match="it has: default"):
        client.jobs.download("o1", tmp_path, "model")
    ended(desk, "o2", outputs=done(model=tree))
    assert client.jobs.download("o2", tmp_path) == []


def test_paths_of_specs_are_relative_to_here(desk, client, alone):
    (alone / "f.txt").write_text("x")
    assert client.data.create(Data(name="rel", type="uri_file", path="f.txt"))["version"] == "1"
    with pytest.raises(Refused, match="absent"):
        client.data.create(Data(name="rel", path="absent"))


def test_settling_ends_or_gives_up():
    creating, good = {"name": "e", "provisioning_state": "Creating"}, {"name": "e", "provisioning_state": "Succeeded"}
    heard = []
    assert play(flows.settle("/e", heard.append), creating, creating, good)[1] == good
    assert heard == [creating, good]
    with pytest.raises(Unavailable) as caught:
        play(flows.settle("/e", limit_s=0.0), creating)
    assert caught.value.code == "ResourceNotReady"


def test_gone_is_not_found():
    flow = flows.gone("/e")
    next(flow)
    assert isinstance(flow.send(Answer(200, {}, b"{}")), Pause)
    flow.send(None)
    with pytest.raises(StopIteration):
        flow.throw(NotFound("NotFound", "no"))


def test_what_waits_for_offline_sites_is_not_waited_for():
    left = {"provisioning_state": "Updating", "ferry": {"waiting_for": ["c2"]}}
    assert play(flows.settle("/e"), {"provisioning_state": "Creating"}, left)[1] == left
    assert play(flows.gone("/e"), left)[1] == left


def test_a_rollout_is_waited_for():
    answers = ({"status": "running"}, {"status": "rolled_back"})
    assert play(flows.wait_rollout("w", "r"), *answers)[1]["status"] == "rolled_back"


def test_a_prediction_uses_the_endpoints_own_key():
    flow = flows.invoke("w", "e", b"[1]", "blue")
    assert next(flow).path.endswith("/online-endpoints/e/scoring")
    assert flow.send(Answer(200, {}, b'{"scoring_uri": "http://s/score"}')).path.endswith("/e/credentials")
    call = flow.send(Answer(200, {}, b'{"primaryKey": "k"}'))
    assert (call.path, call.headers["Authorization"], call.repeatable) == ("http://s/score", "Bearer k", False)
    assert call.headers["azureml-model-deployment"] == "blue"
    with pytest.raises(StopIteration) as end:
        flow.send(Answer(200, {"x-request-id": "r-1", "azureml-model-deployment": "blue"}, b"plain"))
    assert end.value.value == flows.Prediction("plain", "r-1", "blue")


def test_a_token_is_kept_until_it_opens_no_longer():
    kept = {"w/e": "old"}
    flow = flows.invoke("w", "e", b"[1]", None, kept)
    next(flow)
    call = flow.send(Answer(200, {}, b'{"scoring_uri": "http://s/score"}'))
    assert call.headers["Authorization"] == "Bearer old"
    assert flow.throw(Unauthenticated("Unauthenticated", "expired")).path.endswith("/credentials")
    call = flow.send(Answer(200, {}, b'{"accessToken": "new"}'))
    assert call.headers["Authorization"] == "Bearer new"
    with pytest.raises(StopIteration):
        flow.send(Answer(200, {}, b"[1]"))
    assert kept == {"w/e": "new"}
    flow = flows.invoke("w", "e", b"[1]", None, kept)
    next(flow)
    assert flow.send(Answer(200, {}, b'{"scoring_uri": "http://s/score"}')).headers["Authorization"] == "Bearer new"
    with pytest.raises(StopIteration):
        flow.send(Answer(200, {}, b"[1]"))


def test_what_never_opens_is_an_error():
    flow = flows.invoke("w", "e", b"[1]", None, {})
    next(flow)
    flow.send(Answer(200, {}, b'{"scoring_uri": "http://s/score"}'))
    flow.send(Answer(200, {}, b'{"accessToken": "new"}'))
    with pytest.raises(Unauthenticated):
        flow.throw(Unauthenticated("Unauthenticated", "no"))


def test_an_endpoint_without_address_is_not_ready():
    flow = flows.invoke("w", "e", b"[1]")
    next(flow)
    with pytest.raises(Unavailable):
        flow.send(Answer(200, {}, b'{"scoring_uri": null}'))


def test_separate_keys_are_kept_for_each_compute():
    kept: dict[str, str] = {}
    flow = flows.invoke("w", "e", b"[1]", None, kept, "c2")
    assert next(flow).query == {"compute": "c2"}
    place = b'{"scoring_uri": "http://s/score", "compute": "c2", "keys": "separate"}'
    call = flow.send(Answer(200, {}, place))
    assert (call.path.endswith("/credentials"), call.query) == (True, {"compute": "c2"})
    flow.send(Answer(200, {}, b'{"primaryKey": "k"}'))
    with pytest.raises(StopIteration) as end:
        flow.send(Answer(200, {}, b"[1]"))
    assert (end.value.value.compute, kept) == ("c2", {"w/e@c2": "k"})
