"""Every way to name content, and what each means."""

import pytest

from control_play import OWNER, WORKSPACE, bound_job, done
from ferryml.compile.tree import bytes_digest
from ferryml.control import assets
from ferryml.control.contents import Contents, node_of
from ferryml.domain.errors import FerryError, Refused
from ferryml.domain.orders import TreeRef
from ferryml.domain.statuses import OutputResult


@pytest.fixture
def contents(play):
    return Contents(play.deps, WORKSPACE)


def test_a_single_file(play, contents):
    digest = play.upload(b"a,b\n")
    found = contents.of(f"content:file:{digest}:t.csv")
    assert (found.tree.kind, found.tree.name, found.tree.size) == ("file", "t.csv", 4)


def test_files_of_a_run_by_job_or_run(play, contents):
    play.site()
    name = play.running()
    run = play.shown(name)["mlflow_run_id"]
    play.upload(b"m")
    with play.store.begin() as tx:
        tx.put_path(WORKSPACE, f"0/{run}/artifacts/model/MLmodel", bytes_digest(b"m"), 1)
    for ref in (f"runs:/{run}/model", f"runs:/{name}/model"):
        assert contents.of(ref).tree.name == "model"
    assert contents.of(f"runs:/{name}/model").job == name
    made = assets.create(
        play.deps, OWNER, WORKSPACE, "model", {"name": "net", "type": "mlflow_model", "path": f"runs:/{name}/model"}
    )
    assert made["job_name"] == name


def test_the_older_name_of_the_default_output(play, contents):
    play.site()
    name = play.running()
    folder = play.folder({"outputs/x": b"x"})
    play.reports("cloud", name, "Completed", 2, outputs=done(default=folder))
    play.turns()
    assert contents.of(f"azureml://jobs/{name}/outputs/artifacts").tree.digest == folder.digest
    inside = contents.of(f"azureml://jobs/{name}/outputs/default/paths/outputs")
    assert inside.tree.name == "outputs"
    with pytest.raises(FerryError):
        contents.of(f"azureml://jobs/{name}/outputs/default/paths/none")


def test_bound_outputs_are_known_to_be_in_their_site(play, contents):
    name = bound_job(play, m={})
    tree = TreeRef(digest="sha256:" + "b" * 64)
    play.reports("onprem", name, "Completed", 1, outputs={"m": OutputResult(tree=tree, bound=True)})
    play.turns()
    found = contents.of(f"azureml://jobs/{name}/outputs/m")
    assert (found.site, found.site_only, found.zones) == ("onprem", True, ("onprem",))
    with pytest.raises(Refused) as caught:
        contents.of(f"azureml://jobs/{name}/outputs/m/paths/x")
    assert caught.value.code == "NotSupported"


def test_a_path_inside_a_place_is_a_longer_path(play, contents):
    bound_job(play)
    found = contents.inside(contents.of("azureml:digits:1"), "2024/a.csv")
    assert found.place.path == "digits/2024/a.csv"


def test_nodes_are_kind_name_version(play):
    assets.create(play.deps, OWNER, WORKSPACE, "data", {"name": "d", "path": "https://x/y"})
    with play.store.read() as tx:
        assert node_of(tx.latest("data", WORKSPACE, "d")) == "data:d:1"
