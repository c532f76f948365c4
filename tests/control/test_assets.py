"""Assets: immutable versions, labels, lineage, and data that may not be uploaded."""

import pytest

from control_play import OWNER, WORKSPACE, bound_job
from ferryml.control import assets
from ferryml.domain.access import Caller
from ferryml.domain.errors import Conflict, FerryError, Forbidden, NotFound, Refused


def content(play, text=b"x"):
    return f"content:tree:{play.folder({'f': text}).digest}:d"


def create(play, kind="data", **document):
    return assets.create(play.deps, OWNER, WORKSPACE, kind, {"name": "a", "path": content(play), **document})


def show(play, version, kind="data", name="a"):
    return assets.show(play.deps, OWNER, WORKSPACE, kind, name, version)


def test_versions_count_up_and_latest_is_the_newest(play):
    assert [create(play)["version"] for _ in range(2)] == ["1", "2"]
    create(play, version="0.9")
    assert show(play, "@latest")["version"] == "0.9"
    assert create(play)["version"] == "3"


def test_versions_never_change(play):
    create(play, version="1")
    with pytest.raises(Conflict):
        create(play, version="1")
    with pytest.raises(Refused):
        assets.update(play.deps, OWNER, WORKSPACE, ("data", "a", "1"), {"path": "https://x"})
    changed = assets.update(play.deps, OWNER, WORKSPACE, ("data", "a", "1"), {"description": "d", "tags": {"t": 1}})
    assert (changed["description"], changed["tags"], changed["version"]) == ("d", {"t": "1"}, "1")


def test_labels_move(play):
    create(play), create(play)
    assets.update(play.deps, OWNER, WORKSPACE, ("data", "a", "1"), {"labels": ["prod"]})
    assert show(play, "@prod")["version"] == "1"
    assets.update(play.deps, OWNER, WORKSPACE, ("data", "a", "2"), {"labels": ["prod"]})
    assert show(play, "@prod")["version"] == "2"
    with pytest.raises(Refused):
        assets.update(play.deps, OWNER, WORKSPACE, ("data", "a", "2"), {"labels": ["latest"]})
    with pytest.raises(NotFound):
        show(play, "@none")


def test_archiving_hides_from_lists_and_latest(play):
    create(play), create(play)
    assets.archive(play.deps, OWNER, WORKSPACE, ("data", "a", "2"))
    assert show(play, "@latest")["version"] == "1"
    assert show(play, "2")["archived"]
    listed = assets.list_assets(play.deps, OWNER, WORKSPACE, "data", "a", "no", (0, 9))
    assert [item["version"] for item in listed["items"]] == ["1"]
    assets.archive(play.deps, OWNER, WORKSPACE, ("data", "a", "2"), archived=False)
    assert show(play, "@latest")["version"] == "2"


def test_equal_code_has_one_version(play):
    made = create(play, "code")
    assert len(made["version"]) == 32
    with pytest.raises(Conflict):
        create(play, "code")


def test_models_and_environments(play):
    assert create(play, "model", type="mlflow_model")["job_name"] is None
    made = assets.create(play.deps, OWNER, WORKSPACE, "environment", {"name": "e", "image": "python:3.11"})
    assert made["version"] == "1"


@pytest.mark.parametrize(
    ("kind", "document", "code"),
    [
        ("data", {"path": "./local"}, "BadReference"),
        ("data", {"path": "azureml:none:1"}, "NotFound"),
        ("data", {"name": "bad name"}, "BadName"),
        ("data", {"nam": "x"}, "UnknownField"),
        ("model", {"path": "azureml://registries/r/models/m/versions/1"}, "NotSupported"),
        ("model", {"path": "runs:/none/model"}, "NotFound"),
        ("environment", {"path": None, "name": "e"}, "UnknownField"),
        ("component", {}, "NotSupported"),
        ("data", {"zones": ["plant"]}, "ResidencyViolation"),
    ],
)
def test_what_cannot_be_is_refused(play, kind, document, code):
    with pytest.raises(FerryError) as caught:
        create(play, kind, **document)
    assert caught.value.code == code


def test_bound_data_is_told_where_to_go(play):
    with pytest.raises(Refused) as caught:
        create(play, zones=["plant"])
    assert "datastore" in caught.value.hint


def test_data_on_a_site_s_disk_is_bound_by_itself(play):
    bound_job(play, release={"metrics": "allow"})
    made = show(play, "1", name="digits")
    assert made["ferry"]["residency"] == {"zones": ["onprem"], "release": ["metrics"]}


def test_zones_may_only_narrow(play):
    bound_job(play)
    with pytest.raises(Refused) as caught:
        create(play, path="azureml://datastores/local/paths/x", zones=["cloud"])
    assert caught.value.code == "ResidencyViolation"


def test_readers_do_not_create(play):
    with pytest.raises(Forbidden):
        assets.create(
            play.deps, Caller("r", "reader", WORKSPACE), WORKSPACE, "data", {"name": "a", "path": "https://x"}
        )


def test_data_by_address_stays_where_it_is(play):
    made = create(play, path="https://example.org/a.csv", type="uri_file")
    assert made["ferry"]["content"]["uri"] == "https://example.org/a.csv"


def test_kinds_are_known_by_their_plural():
    assert assets.kind_of("datas") == "data"
    with pytest.raises(Refused):
        assets.kind_of("jobs")
