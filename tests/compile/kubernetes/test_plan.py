import pytest

from ferryml.compile.kubernetes.mounts import DataMounts
from ferryml.compile.kubernetes.plan import Archive, make_plan, object_url, sources
from ferryml.domain.errors import Refused
from ferryml.domain.orders import DatastorePath
from pod_things import REF, a_cluster, a_launch

NFS = {"datastore": "nas", "kind": "nfs", "root": "nas:/x", "path": "d/f.csv"}
S3 = {"datastore": "lake", "kind": "s3", "root": "s3://b/p", "path": "d/f.csv"}


def a_plan(environment=None, mounts=None, attempt=1, previous=None, **order):
    plan, _ = make_plan(a_launch(attempt, previous, **order), a_cluster(), mounts or DataMounts("team"), environment)
    return plan


def the_input(**order):
    plan = a_plan(command="${{inputs.a}}", inputs={"a": order})
    return plan, plan["command"]


def test_the_plan_says_where_the_gateway_and_the_door_are():
    plan = a_plan()
    assert plan["gateway"].startswith("https://")
    assert plan["env"]["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:8471/mlflow"
    assert (plan["ca"], plan["token_file"]) == ("/ferry-plan/ca.pem", "/ferry-token/token")


def test_no_secret_is_in_the_plan():
    assert "token" not in a_plan()


def test_an_environment_comes_first_in_the_path():
    assert a_plan()["path"] == []
    plan = a_plan(Archive(REF.digest, 5))
    assert (plan["path"], plan["environment"]) == (["/ferry/env/bin"], {"digest": REF.digest, "size": 5})


def test_assets_are_fetched_into_the_pods_folder():
    plan, path = the_input(type="uri_folder", tree=REF)
    assert path == "/ferry/job/inputs/a"
    assert plan["fetch"][0]["read_only"] is True


@pytest.mark.parametrize(("mode", "where"), [("ro_mount", "links"), ("download", "copies")])
def test_mounted_data_is_linked_or_copied(mode, where):
    plan, path = the_input(type="uri_file", place=NFS, mode=mode)
    assert path == "/ferry/job/inputs/a/f.csv"
    assert plan[where] == [
        {"what": "input a", "from": "/ferry-data/ro/nas/d/f.csv", "to": "inputs/a/f.csv",
         "within": "/ferry-data/ro/nas"}
    ]  # fmt: skip


def test_direct_data_is_read_where_it_lies():
    assert the_input(type="uri_folder", place=NFS, mode="direct")[1] == "/ferry-data/ro/nas/d/f.csv"
    assert the_input(type="uri_folder", place=S3, mode="direct")[1] == "s3://b/p/d/f.csv"


def test_objects_and_web_addresses_come_by_the_gateway_under_an_id():
    plan, path = the_input(type="uri_file", place=S3)
    assert path == "/ferry/job/inputs/a/f.csv"
    item = plan["fetch"][0]
    assert (item["kind"], item["source"], item["single"]) == ("place", "inputs.a", True)
    plan, _ = the_input(type="uri_file", uri="https://h/x.csv")
    assert plan["fetch"][0]["source"] == "inputs.a"


def test_the_gateway_is_told_what_the_ids_mean():
    order = a_launch(
        inputs={
            "web": {"type": "uri_file", "uri": "https://h/x"}, "s3": {"type": "uri_file", "place": S3},
            "nfs": {"type": "uri_file", "place": NFS}, "own": {"type": "uri_file", "place": S3, "mode": "direct"},
        },
        outputs={"o": {"place": S3}, "d": {"place": S3, "mode": "direct"}, "n": {"place": NFS}, "plain": {}},
    ).order  # fmt: skip
    assert {key: next(iter(value)) for key, value in sources(order).items()} == {
        "inputs.web": "uri", "inputs.s3": "place", "outputs.o": "place",
    }  # fmt: skip


def the_output(**order):
    plan = a_plan(command="${{outputs.a}}", outputs={"a": order})
    return plan["outputs"][0], plan["command"]


def test_outputs_go_to_the_store_to_a_share_or_to_objects():
    assert the_output()[1] == "/ferry/job/outputs/a"
    item, path = the_output(place=NFS)
    assert (path, item["upload"], item["place"]) == ("/ferry-data/rw/nas/d/f.csv", False, "")
    item, path = the_output(place=NFS, mode="upload")
    assert (path, item["place"]) == ("/ferry/job/outputs/a", "/ferry-data/rw/nas/d/f.csv")
    item, path = the_output(place=S3, type="uri_file")
    assert (path, item["source"], item["place"]) == ("/ferry/job/outputs/a/f.csv", "outputs.a", "")
    assert the_output(place=S3, mode="direct")[1] == "s3://b/p/d/f.csv"


def test_a_retry_takes_what_the_gateway_has():
    plan = a_plan(attempt=2, previous={"m": REF, "default": REF}, outputs={"m": {}})
    assert {item["what"]: item["to"] for item in plan["fetch"]} == {
        "earlier output m": "outputs/m", "earlier output default": "code",
    }  # fmt: skip
    assert plan["log_prefix"] == "retry-001/"


def test_variables_of_the_group_come_last():
    plan = a_plan(instance_count=2, distribution={"type": "pytorch"}, environment_variables={"A": "1"})
    assert (plan["env"]["A"], plan["env"]["MASTER_ADDR"][-2:]) == ("1", "-1")
    assert plan["rank_env"][1]["NODE_RANK"] == "1"


def test_what_can_neither_be_mounted_nor_brought_is_refused():
    with pytest.raises(Refused, match="cannot mount datastore 'here' of type local"):
        the_input(type="uri_file", place={"datastore": "here", "kind": "local", "root": "/x"})


def test_the_address_of_a_place_has_no_double_slashes():
    assert object_url(DatastorePath(datastore="d", kind="s3", root="s3://b/", path="/x/")) == "s3://b/x"
