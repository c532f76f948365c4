"""Bringing code and model: whole or not at all, nowhere else, logs kept."""

import pytest

from ferryml.backends.local.serving_files import RevisionFolder, folder_of
from ferryml.compile.tree import tree_bytes
from ferryml.domain.errors import Refused
from ferryml.domain.orders import Tree, TreeEntry, TreeRef
from fixtures_serving import a_revision

SCORE = "def init(): pass\ndef run(d): pass"


@pytest.fixture
def folder(tmp_path) -> RevisionFolder:
    path = tmp_path / "rev"
    path.mkdir()
    return RevisionFolder(path)


def test_everything_is_in_its_place(folder, shelf):
    revision = a_revision(shelf, SCORE, model=shelf.tree({"a/b.bin": b"x"}, "m"), model_name="model:n:2")
    folder.stage(revision, shelf.at)
    places = folder.places(revision)
    assert (folder.path / "files/azureml-models/n/2/m/a/b.bin").read_bytes() == b"x"
    assert places.model_dir.endswith("files/azureml-models/n/2")
    assert places.model_file.endswith("/n/2/m")
    assert b"files are in place" in folder.read_log("storage-initializer", 0)


def test_twice_is_once(folder, shelf):
    revision = a_revision(shelf, SCORE)
    folder.stage(revision, shelf.at)
    (folder.path / "files/app/made-by-user").touch()
    folder.stage(revision, shelf.at)
    assert (folder.path / "files/app/made-by-user").exists()


def test_half_is_nothing(folder, shelf):
    revision = a_revision(shelf, SCORE, model=shelf.tree({"a": b"x"}))
    shelf.at(revision.model.digest).unlink()
    with pytest.raises(OSError, match="No such file"):
        folder.stage(revision, shelf.at)
    assert not folder.staged()


@pytest.mark.parametrize("path", ["../out", "/etc/x", "a/../../x"])
def test_a_hostile_tree_writes_nothing_outside(folder, shelf, path, tmp_path):
    data = tree_bytes(Tree(entries=(TreeEntry(path="safe-path-x", digest=shelf.put(b"x"), size=1),)))
    hostile = data.replace(b"safe-path-x", path.encode())
    with pytest.raises(Refused, match="path"):
        folder.stage(a_revision(shelf, SCORE, model=TreeRef(digest=shelf.put(hostile))), shelf.at)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["../x", "a/b", ".."])
def test_a_hostile_file_name_is_made_harmless(folder, shelf, name):
    model = TreeRef(digest=shelf.put(b"x"), kind="file", name=name)
    folder.stage(a_revision(shelf, SCORE, model=model, model_name="model:n:1"), shelf.at)
    (file,) = [one for one in (folder.path / "files/azureml-models").rglob("*") if one.is_file()]
    assert file.read_bytes() == b"x"
    assert {one.name for one in folder.path.parent.iterdir()} <= {"rev", "shelf"}


def test_hostile_uids_stay_below_the_root(tmp_path):
    for uid in ("../../x", "endpoint./etc.x", "..", ".hidden/../.."):
        assert folder_of(tmp_path, uid).resolve().is_relative_to(tmp_path.resolve())
    with pytest.raises(Refused):
        folder_of(tmp_path, "endpoint.w.e", "../x")


def test_logs_outlive_the_files(folder, shelf):
    folder.stage(a_revision(shelf, SCORE), shelf.at)
    folder.log.write_bytes(b"0123456789")
    folder.drop_files()
    assert not folder.staged()
    assert folder.read_log("inference-server", 4) == b"456789"
