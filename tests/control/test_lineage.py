"""From a prediction back to the data, and from data to all that came of it."""

import pytest

from control_play import OWNER, WORKSPACE, done
from ferryml.control import assets, lineage
from ferryml.control.ports import Edge, Row
from ferryml.domain.errors import NotFound


@pytest.fixture
def story(play):
    """data -> job -> model -> deployment."""
    play.site()
    folder = play.folder({"f": b"x"})
    content = f"content:tree:{folder.digest}:d"
    assets.create(play.deps, OWNER, WORKSPACE, "data", {"name": "digits", "path": content})
    name = play.running(
        code=content, inputs={"d": {"path": "azureml:digits:1"}},
        outputs={"m": {"type": "custom_model", "name": "net"}}, properties={"mlflow.source.git.commit": "abc"},
    )  # fmt: skip
    play.reports("cloud", name, "Completed", 2, outputs=done(m=folder))
    play.turns()
    with play.store.begin() as tx:
        tx.insert(Row(kind="revision", workspace=WORKSPACE, name="rev0000001", parent="shop/blue"))
        tx.link(
            Edge(
                workspace=WORKSPACE, source="model:net:1", relation="deployed",
                target="deployment:shop/blue:rev0000001",
            )
        )  # fmt: skip
    return name


def test_a_request_id_leads_to_the_data(play, story):
    found = lineage.trace(play.deps, OWNER, WORKSPACE, "rev0000001-0123456789abcdef")
    assert (found["endpoint"], found["deployment"], found["model"]) == ("shop", "blue", "model:net:1")
    assert (found["job"], found["data"]) == (f"job:{story}", ["data:digits:1"])
    assert found["code"][0].startswith("code:")
    job = next(node for node in found["lineage"]["nodes"] if node["kind"] == "job")
    assert (job["git_commit"], job["site"]) == ("abc", "cloud")


def test_data_leads_to_deployments(play, story):
    found = lineage.lineage(play.deps, OWNER, WORKSPACE, "data:digits:1", "down")
    assert [node["id"] for node in found["nodes"]][-1] == "deployment:shop/blue:rev0000001"


def test_unknown_requests_are_said_so(play, story):
    with pytest.raises(NotFound):
        lineage.trace(play.deps, OWNER, WORKSPACE, "nobody-1")
    assert lineage.lineage(play.deps, OWNER, WORKSPACE, "data:none:1", "up")["edges"] == []


def test_circles_end(play):
    with play.store.begin() as tx:
        for source, target in (("a:1", "b:1"), ("b:1", "a:1")):
            tx.link(Edge(workspace=WORKSPACE, source=source, relation="input", target=target))
    assert len(lineage.lineage(play.deps, OWNER, WORKSPACE, "a:1", "up")["nodes"]) == 2
