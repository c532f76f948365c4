"""Fetching: once, in the background, again when it was nobody's fault."""

import threading

import pytest

from ferryml.agent.endpoint_files import Files
from ferryml.domain.errors import Forbidden, Refused, Unavailable
from ferryml.domain.orders import DatastorePath, EnvironmentOrder, ModelSource
from fixtures_serving import a_revision, until

UID = "endpoint.w.e"


class Door:
    def __init__(self, shelf) -> None:
        self.shelf, self.asked, self.error = shelf, [], None
        self.models = {}
        self.gate = threading.Event()
        self.gate.set()

    def fetch(self, digest, grant):
        self.gate.wait(5)
        self.asked.append((digest, grant))
        if self.error:
            raise self.error
        return self.shelf.at(digest)

    def model(self, key, grant):
        self.gate.wait(5)
        self.asked.append((key, grant))
        if self.error:
            raise self.error
        return self.models[key]

    def read(self, digest, grant):
        return self.fetch(digest, grant).read_bytes()


@pytest.fixture
def door(shelf) -> Door:
    return Door(shelf)


@pytest.fixture
def files(door):
    made = Files(door.read, door.model, door.fetch)
    yield made
    made.close()


def settled(files, revision, generation=1):
    return until(lambda: (seen := files.prepared(UID, revision, "g", generation)).state != "waiting" and seen, 5)


def test_all_of_it_is_fetched_once(files, door, shelf):
    revision = a_revision(shelf, "x = 1", model=shelf.tree({"a": b"1", "b/c": b"2"}))
    assert settled(files, revision).state == "ready"
    assert settled(files, revision, 2).state == "ready"
    assert len(door.asked) == 2 + 3
    assert {grant for _, grant in door.asked} == {"g"}


def test_it_never_blocks(files, door, shelf):
    door.gate.clear()
    assert files.prepared(UID, a_revision(shelf, ""), "g", 1).state == "waiting"
    door.gate.set()


def test_a_cut_link_is_waited_for(files, door, shelf):
    door.error = Unavailable("ServerUnreachable", "the link is down")
    revision = a_revision(shelf, "")
    until(lambda: files.prepared(UID, revision, "g", 1).reason == "the link is down", 5)
    door.error = None
    assert settled(files, revision).state == "ready"


def test_a_refusal_is_final_until_a_new_grant_comes(files, door, shelf):
    door.error = Forbidden("BadGrant", "not yours")
    revision = a_revision(shelf, "")
    assert (settled(files, revision).code, settled(files, revision).state) == ("BadGrant", "failed")
    door.error = None
    assert files.prepared(UID, revision, "g", 1).state == "failed"
    assert settled(files, revision, generation=2).state == "ready"


def test_a_broken_tree_fails_with_its_reason(files, shelf, door):
    revision = a_revision(shelf, "")
    shelf.at(revision.code.digest).write_bytes(b"not a tree")
    assert settled(files, revision).code == "BadRequest"


def test_a_model_that_never_left_asks_for_its_environment_here(files, shelf):
    model = shelf.tree({"MLmodel": b"{}", "requirements.txt": b"mlflow==3.1\n", "python_env.yaml": b"python: 3.11.2\n"})
    revision = a_revision(shelf, "", flavor="mlflow", code=None, model=model, environment=EnvironmentOrder(key=""))
    assert files.resolved(UID, revision) == revision
    assert settled(files, revision).state == "ready"
    environment = files.resolved(UID, revision).environment
    assert (environment.pip[0], environment.python) == ("mlflow==3.1", "3.11")
    assert environment.key
    bare = a_revision(
        shelf, "", "b" * 10, flavor="mlflow", code=None, model=shelf.tree({"MLmodel": b"{}"}),
        environment=EnvironmentOrder(key=""),
    )  # fmt: skip
    assert settled(files, bare).code == "BadArgument"


def test_forgotten_is_fetched_anew(files, door, shelf):
    revision = a_revision(shelf, "")
    settled(files, revision)
    before = len(door.asked)
    files.forget(UID, frozenset({revision.revision}))
    settled(files, revision)
    assert len(door.asked) == before
    files.forget(UID)
    settled(files, revision)
    assert len(door.asked) == 2 * before


def test_where_pods_bring_everything_only_a_bound_models_environment_is_read(door, shelf):
    files = Files(door.read, door.model)
    assert files.prepared(UID, a_revision(shelf, "x = 1"), "g", 1).state == "ready"
    assert door.asked == []
    model = shelf.tree({"MLmodel": "flavors: {}", "requirements.txt": "mlflow==3.1\n", "big": "x"})
    bound = a_revision(shelf, "", flavor="mlflow", code=None, model=model, environment=EnvironmentOrder(key=""))
    assert settled(files, bound).state == "ready"
    assert "mlflow==3.1" in files.resolved(UID, bound).environment.pip
    assert len(door.asked) == 3
    files.close()


SOURCE = ModelSource(place=DatastorePath(datastore="shelf", kind="s3", root="s3://b", path="m"), key="model:m:1")


def test_a_model_on_a_datastore_is_put_into_its_revision(files, door, shelf):
    door.models["model:m:1"] = shelf.tree({"a": b"1"}, name="m")
    door.error = Unavailable("Unavailable", "model:m:1 is being fetched")
    revision = a_revision(shelf, "x = 1", model_source=SOURCE)
    until(lambda: "being fetched" in files.prepared(UID, revision, "g", 1).reason, 5)
    assert files.resolved(UID, revision).model is None
    door.error = None
    assert settled(files, revision).state == "ready"
    assert files.resolved(UID, revision).model == door.models["model:m:1"]
    files.forget(UID)
    assert files.resolved(UID, revision).model is None


def test_on_a_cluster_the_gateway_has_it_and_its_files_say_the_environment(door, shelf):
    files = Files(door.read, door.model)
    door.models["model:m:1"] = shelf.tree({"MLmodel": b"{}", "requirements.txt": b"mlflow==3.1\n"})
    fields = {"flavor": "mlflow", "code": None, "environment": EnvironmentOrder(key="")}
    revision = a_revision(shelf, "", model_source=SOURCE, **fields)
    assert settled(files, revision).state == "ready"
    made = files.resolved(UID, revision)
    assert (made.model, "mlflow==3.1" in made.environment.pip) == (door.models["model:m:1"], True)
    files.close()


def test_what_has_changed_on_its_datastore_is_refused(files, door, shelf):
    door.error = Refused("DigestMismatch", "m is not what it was")
    assert settled(files, a_revision(shelf, "", model_source=SOURCE)).code == "DigestMismatch"
