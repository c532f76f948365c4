"""Residency and placement as jobs meet them."""

import pytest

from control_play import OWNER, WORKSPACE, bound_job
from ferryml.control import assets, datastores, detaching, jobs
from ferryml.domain.errors import FerryError


def refusal(play, **changes):
    with pytest.raises(FerryError) as caught:
        play.job(**changes)
    assert caught.value.hint
    return caught.value.code


BOUND = {"d": {"path": "azureml:digits:1"}}


def test_bound_data_does_not_run_elsewhere(play):
    bound_job(play)
    play.site("cloud", "cloud", "c2", consent=True)
    assert refusal(play, compute="c2", inputs=BOUND) == "ResidencyViolation"


def test_bound_data_does_not_run_without_consent(play):
    bound_job(play)
    play.beat("onprem", accept_zone_bound=False)
    assert refusal(play, inputs=BOUND) == "ConsentMissing"


def test_one_zone_may_have_several_sites_but_a_disk_has_one(play):
    bound_job(play)
    play.site("second", "onprem", "c2", consent=True)
    assert refusal(play, compute="c2", inputs=BOUND) == "BadReference"


def test_two_bound_inputs_need_a_common_zone(play):
    bound_job(play)
    play.site("plant", "plant", "c2", consent=True)
    place = {"name": "disk", "type": "local", "root": "/data", "site": "plant"}
    datastores.create(play.deps, OWNER, WORKSPACE, place)
    both = {**BOUND, "e": {"path": "azureml://datastores/disk/paths/x"}}
    assert refusal(play, inputs=both) == "ResidencyViolation"


def test_bound_outputs_are_not_written_to_another_zone(play):
    bound_job(play)
    datastores.create(play.deps, OWNER, WORKSPACE, {"name": "far", "type": "s3", "bucket": "b", "zone": "cloud"})
    out = {"o": {"path": "azureml://datastores/far/paths/x"}}
    assert refusal(play, inputs=BOUND, outputs=out) == "ResidencyViolation"
    assert refusal(play, inputs=BOUND, outputs={"o": {"path": "https://x/y"}}) == "BadReference"


def test_a_default_datastore_is_where_outputs_go(play):
    bound_job(play)
    with play.store.begin() as tx:
        row = tx.get("workspace", "", WORKSPACE)
        tx.update(row.model_copy(update={"spec": {**row.spec, "default_datastore": "local"}}))
    name = play.job(name="kept", outputs={"o": None})["name"]
    with play.store.read() as tx:
        order = jobs.order_of(tx.get("job", WORKSPACE, name))
    assert order.outputs["o"].place.path == "azureml/kept/o"


def test_a_model_input_must_be_a_model(play):
    bound_job(play)
    assert refusal(play, inputs={"m": {"type": "mlflow_model", "path": "azureml:digits:1"}}) == "BadReference"


def test_unknown_instance_types_are_refused(play):
    bound_job(play)
    play.beat("onprem", accept_zone_bound=True, instance_types={"gpu": {}})
    assert refusal(play, resources={"instance_type": "tpu"}) == "InvalidInstanceType"


def test_literals_keep_their_type(play):
    play.site()
    name = play.job(
        inputs={
            "i": 3, "f": 0.5, "s": "x", "b": True, "t": {"type": "boolean", "default": "true"},
            "o": {"type": "string", "optional": True},
        }
    )["name"]  # fmt: skip
    with play.store.read() as tx:
        order = jobs.order_of(tx.get("job", WORKSPACE, name))
    assert {key: (value.type, value.literal) for key, value in order.inputs.items()} == {
        "i": ("integer", "3"), "f": ("number", "0.5"), "s": ("string", "x"), "b": ("boolean", "True"),
        "t": ("boolean", "True"),
    }  # fmt: skip


def test_a_compute_that_goes_meanwhile_is_noticed(play, monkeypatch):
    play.site()
    real = play.tracking.create_run

    def slow(*args):
        detaching.detach(play.deps, OWNER, WORKSPACE, "c1")
        return real(*args)

    monkeypatch.setattr(play.tracking, "create_run", slow)
    assert refusal(play) == "ComputeNotFound"
    assert assets.list_assets(play.deps, OWNER, WORKSPACE, "model", None, "no", (0, 9))["items"] == []


def test_a_queue_travels_by_the_names_that_kueue_reads(play):
    play.site("onprem", "onprem", "c1")
    name = play.job(queue_settings={"queue": "team", "priority_class": "urgent"})["name"]
    with play.store.begin() as tx:
        labels = tx.get("job", WORKSPACE, name).status["order"]["labels"]
    assert labels["kueue.x-k8s.io/queue-name"] == "team"
    assert labels["kueue.x-k8s.io/priority-class"] == "urgent"
