"""Gateways: a grant opens what it names and nothing else."""

import json

import pytest

from control_play import WORKSPACE, bound_job
from ferryml.compile.tree import bytes_digest
from ferryml.control import artifacts, gateway
from ferryml.domain.errors import Forbidden, NotFound
from ferryml.domain.link import MlflowCall


@pytest.fixture
def memory():
    return gateway.TreeMemory()


@pytest.fixture
def job(play):
    """(site, grant, digest of a file in its code, digest of the code)."""
    play.site()
    folder = play.folder({"main.py": b"print(1)"})
    name = play.running(code=f"content:tree:{folder.digest}:src")
    return "cloud", play.grant("cloud", name), bytes_digest(b"print(1)"), folder.digest


def test_a_grant_opens_trees_and_what_is_in_them(play, job, memory):
    site, grant, file, tree = job
    assert gateway.readable(play.deps, site, tree, grant, memory) > 0
    assert gateway.readable(play.deps, site, file, grant, memory) == 8
    assert gateway.readable(play.deps, site, file, grant, memory) == 8


def test_other_files_stay_closed(play, job, memory):
    site, grant, _, _ = job
    other = play.upload(b"of another job")
    with pytest.raises(Forbidden) as caught:
        gateway.readable(play.deps, site, other, grant, memory)
    assert caught.value.code == "BadGrant"


def test_another_site_cannot_use_it(play, job, memory):
    _, grant, file, _ = job
    with pytest.raises(Forbidden) as caught:
        gateway.readable(play.deps, "edge", file, grant, memory)
    assert caught.value.code == "NotYourSite"


def test_what_was_deleted_is_said_to_be_missing(play, job, memory):
    site, grant, file, _ = job
    gateway.readable(play.deps, site, file, grant, memory)
    with play.store.begin() as tx:
        tx.delete("job", WORKSPACE, "none")
    with pytest.raises(Forbidden):
        gateway.readable(play.deps, site, "sha256:" + "0" * 64, grant, memory)


def test_uploads_land_in_the_grant_s_workspace(play, job):
    site, grant, _, _ = job
    data = b"weights"
    started = gateway.start(play.deps, site, bytes_digest(data), len(data), grant)
    upload = artifacts.opened(play.deps, started["id"], None, gateway.owner(site))
    artifacts.append(play.deps, upload, 0, [data])
    artifacts.finish(play.deps, upload)
    assert artifacts.visible(play.deps, WORKSPACE, bytes_digest(data)) == 7
    with pytest.raises(NotFound):
        artifacts.opened(play.deps, started["id"], None, gateway.owner("edge"))


def test_bound_work_uploads_nothing_unless_something_is_released(play):
    name = bound_job(play)
    with pytest.raises(Forbidden) as caught:
        gateway.start(play.deps, "onprem", "sha256:" + "0" * 64, 1, play.grant("onprem", name))
    assert caught.value.code == "ResidencyViolation"


def test_released_work_uploads(play):
    name = bound_job(play, release={"models": "allow"})
    assert not gateway.start(play.deps, "onprem", "sha256:" + "0" * 64, 1, play.grant("onprem", name))["done"]


def test_mlflow_calls_pass_as_the_job(play, job):
    site, grant, _, _ = job
    run = next(iter(play.tracking.runs))
    body = json.dumps({"run_id": run, "key": "k", "value": 1}).encode()
    call = MlflowCall(method="POST", path="api/2.0/mlflow/runs/log-metric")
    status, _ = gateway.mlflow(play.deps, site, grant, call, body)
    assert (status, play.tracking.runs[run].metrics) == (200, {"k": 1.0})
    assert play.tracking.calls[-1][2]


def test_bound_mlflow_calls_do_not_pass(play):
    name = bound_job(play)
    grant = play.grant("onprem", name)
    write = MlflowCall(method="POST", path="api/2.0/mlflow/runs/log-parameter")
    with pytest.raises(Forbidden):
        gateway.mlflow(play.deps, "onprem", grant, write, b"{}")
    run = next(iter(play.tracking.runs))
    read = MlflowCall(method="GET", path=f"api/2.0/mlflow/runs/get?run_id={run}")
    assert gateway.mlflow(play.deps, "onprem", grant, read, b"")[0] == 200


def test_memory_of_trees_is_bounded(play, memory, monkeypatch):
    monkeypatch.setattr(gateway, "REMEMBERED", 1)
    first, second = play.folder({"a": b"a"}), play.folder({"b": b"b"})
    assert memory.inside(play.deps, WORKSPACE, first.digest) == {bytes_digest(b"a")}
    assert memory.inside(play.deps, WORKSPACE, second.digest) == {bytes_digest(b"b")}
    assert memory.inside(play.deps, WORKSPACE, bytes_digest(b"a")) == frozenset()
