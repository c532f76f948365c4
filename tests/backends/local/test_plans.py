from pathlib import Path

import pytest

from ferryml.backends.local.plans import datastore_path, make_plan
from ferryml.compile.environment import environment_order
from ferryml.domain.errors import Refused
from ferryml.domain.orders import DatastorePath, JobOrder, TreeRef
from ferryml.domain.seen import Launch
from ferryml.settings.site import SiteSettings

REF = TreeRef(digest="sha256:" + "a" * 64)


def a_plan(folder=Path("/f"), attempt=1, previous=None, taken=None, settings=None, **order):
    order = JobOrder.model_validate(
        {"workspace": "w", "name": "j", "compute": "c", "command": "true", "environment": environment_order(), **order}
    )
    launch = Launch(
        uid="u",
        attempt=attempt,
        order=order,
        gateway_url="http://g",
        token="t",
        env_key="k",
        previous_outputs=taken or {},
    )
    return make_plan(launch, folder, "/envs/v/bin/python", settings or SiteSettings(), previous)


def fetched(plan):
    return {item["what"]: item for item in plan["fetch"]}


def test_code_and_inputs_are_fetched_to_their_places():
    plan = a_plan(
        code=REF,
        command="${{inputs.f}} ${{inputs.d}}",
        inputs={
            "f": {
                "type": "uri_file",
                "tree": TreeRef(digest=REF.digest, kind="file", name="x.csv"),
                "mode": "download",
            },
            "d": {"type": "mlflow_model", "tree": REF},
        },
    )
    assert {what: item["to"] for what, item in fetched(plan).items()} == {
        "code": "code", "input f": "inputs/f/x.csv", "input d": "inputs/d",
    }  # fmt: skip
    assert (fetched(plan)["input f"]["read_only"], fetched(plan)["input d"]["read_only"]) == (False, True)
    assert plan["command"] == "/f/inputs/f/x.csv /f/inputs/d"


def test_places_are_linked_copied_or_named(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f.csv").write_text("")
    place = {"datastore": "s", "kind": "local", "root": str(tmp_path), "path": "d/f.csv"}
    plan = a_plan(
        command="${{inputs.a}} ${{inputs.b}} ${{inputs.c}}",
        inputs={
            "a": {"type": "uri_file", "place": place},
            "b": {"type": "uri_file", "place": place, "mode": "download"},
            "c": {"type": "uri_file", "place": place, "mode": "direct"},
        },
    )
    assert plan["command"] == f"/f/inputs/a/f.csv /f/inputs/b/f.csv {tmp_path}/d/f.csv"
    assert plan["links"] == [{"from": f"{tmp_path}/d/f.csv", "to": "inputs/a/f.csv"}]
    assert plan["copies"][0]["to"] == "inputs/b/f.csv"


def test_what_is_not_on_the_datastore_is_named(tmp_path):
    place = {"datastore": "s", "kind": "local", "root": str(tmp_path), "path": "absent"}
    with pytest.raises(Refused, match="'absent' is not on datastore 's'") as caught:
        a_plan(inputs={"a": {"type": "uri_file", "place": place}})
    assert caught.value.code == "StagingFailed"


@pytest.mark.parametrize("uri", ["s3://b/x", "file:///etc/passwd", "wasbs://c@a/x"])
def test_addresses_that_cannot_be_brought_are_refused_unless_passed_on(uri):
    with pytest.raises(Refused) as caught:
        a_plan(inputs={"a": {"type": "uri_file", "uri": uri}})
    assert caught.value.code == "NotSupported"
    assert (
        a_plan(command="${{inputs.a}}", inputs={"a": {"type": "uri_file", "uri": uri, "mode": "direct"}})["command"]
        == uri
    )


def test_outputs_are_made_before_the_program_starts(tmp_path):
    place = {"datastore": "s", "kind": "local", "root": str(tmp_path), "path": "out/x.csv"}
    plan = a_plan(
        command="${{outputs.a}} ${{outputs.b}} ${{outputs.c}} ${{outputs.d}}",
        outputs={"a": {}, "b": {"type": "uri_file"}, "c": {"type": "uri_file", "place": place},
                 "d": {"type": "uri_file", "place": place, "mode": "upload"}},
    )  # fmt: skip
    assert plan["command"] == f"/f/outputs/a /f/outputs/b/b {tmp_path}/out/x.csv /f/outputs/d/x.csv"
    assert {"outputs/a", "outputs/b", f"{tmp_path}/out", "outputs/d", "code/outputs", "code/logs"} <= set(
        plan["folders"]
    )
    by_name = {item["name"]: item for item in plan["outputs"]}
    assert {name: (item["upload"], item["place"]) for name, item in by_name.items()} == {
        "a": (True, ""), "b": (True, ""), "c": (False, ""), "d": (False, f"{tmp_path}/out/x.csv"),
        "default": (True, ""),
    }  # fmt: skip


def test_an_output_called_default_keeps_its_name():
    assert [item["name"] for item in a_plan(outputs={"default": {}})["outputs"]] == ["default", "artifacts"]


def test_a_retry_takes_the_outputs_of_the_folder_before_or_of_the_gateway():
    near = a_plan(attempt=2, previous=Path("/f/1"), taken={"m": REF}, outputs={"m": {}})
    assert {item["to"] for item in near["copies"]} == {"outputs", "code/outputs"}
    far = a_plan(attempt=2, taken={"m": REF, "default": REF, "gone": REF}, outputs={"m": {}})
    assert {what: item["to"] for what, item in fetched(far).items()} == {
        "earlier output m": "outputs/m", "earlier output default": "code",
    }  # fmt: skip
    assert far["log_prefix"] == "retry-001/"


@pytest.mark.parametrize("name", ["..", ".", "a/b"])
def test_names_that_are_paths_are_refused(name):
    with pytest.raises(Refused) as caught:
        a_plan(outputs={name: {}})
    assert caught.value.code == "PathEscapes"


@pytest.mark.parametrize(
    ("kind", "root", "path", "code"),
    [
        ("local", "/data", "../etc", "PathEscapes"),
        ("local", "/data", "a/../../etc", "PathEscapes"),
        ("local", "relative", "a", "PathEscapes"),
        ("nfs", "server:/x", "a", "NotSupported"),
    ],
)
def test_places_that_are_none_are_refused(kind, root, path, code):
    with pytest.raises(Refused) as caught:
        datastore_path(DatastorePath(datastore="s", kind=kind, root=root, path=path))
    assert caught.value.code == code


def test_a_path_is_always_below_the_root():
    assert datastore_path(DatastorePath(datastore="s", kind="local", root="/data", path="/a/./b")) == Path("/data/a/b")


def test_patience_without_end_is_still_a_number():
    assert a_plan(settings=SiteSettings(upload_grace_s=0))["upload_patience_s"] > 10**8
