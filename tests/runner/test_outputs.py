import os

import pytest

from ferryml.runner.outputs import Outputs


class Taking:
    """What the gateway would keep."""

    def __init__(self):
        self.files, self.trees = {}, {}

    def put_file(self, path, source):
        with open(source, "rb") as file:
            assert path not in self.files, "one digest is sent once"
            self.files[path] = file.read()

    def post_json(self, path, value):
        assert path == "/v1/outputs"
        self.trees[value["name"]] = value["tree"]["entries"]


@pytest.fixture
def door():
    return Taking()


@pytest.fixture
def outputs(door, tmp_path):
    return Outputs(door, [str(tmp_path)], lambda message: None)


def an_output(**changes):
    return {"name": "o", "type": "uri_folder", "path": "o", "parts": [], "upload": True, "place": "", **changes}


def test_equal_files_are_sent_once_and_the_tree_is_sorted(outputs, door, tmp_path):
    (tmp_path / "o/sub").mkdir(parents=True)
    for name in ("z", "sub/a", "run.sh"):
        (tmp_path / "o" / name).write_text("same")
    os.chmod(tmp_path / "o/run.sh", 0o755)
    tree = outputs.hand_over(an_output(), str(tmp_path))
    assert [(entry["path"], entry["executable"]) for entry in tree["entries"]] == [
        ("run.sh", True), ("sub/a", False), ("z", False),
    ]  # fmt: skip
    assert list(door.files.values()) == [b"same"]
    assert door.trees["o"] == tree["entries"]


def test_only_the_parts_asked_for(outputs, tmp_path):
    for name in ("outputs", "logs", "src"):
        (tmp_path / "o" / name).mkdir(parents=True)
        (tmp_path / "o" / name / "f").write_text(name)
    tree = outputs.hand_over(an_output(parts=["outputs", "logs"]), str(tmp_path))
    assert [entry["path"] for entry in tree["entries"]] == ["logs/f", "outputs/f"]


def test_nothing_written_is_no_output(outputs, door, tmp_path):
    (tmp_path / "o/empty").mkdir(parents=True)
    assert outputs.hand_over(an_output(), str(tmp_path)) is None
    assert outputs.hand_over(an_output(name="gone", path="gone"), str(tmp_path)) is None
    assert outputs.notes == ["output o is empty", "output gone is empty"]
    assert door.trees == {}


def test_specials_and_links_to_elsewhere_are_left_out(outputs, door, tmp_path):
    (tmp_path / "o").mkdir()
    os.mkfifo(tmp_path / "o/pipe")
    (tmp_path / "o/passwd").symlink_to("/etc/passwd")
    (tmp_path / "o/loop").symlink_to(tmp_path / "o")
    (tmp_path / "o/bad\nname").write_text("x")
    (tmp_path / "o/good").write_text("x")
    tree = outputs.hand_over(an_output(), str(tmp_path))
    assert [entry["path"] for entry in tree["entries"]] == ["good"]
    assert len(outputs.notes) == 4


def test_a_place_is_copied_to_and_never_sent(outputs, door, tmp_path):
    (tmp_path / "o").mkdir()
    (tmp_path / "o/f").write_text("x")
    target = tmp_path / "store" / "here"
    assert outputs.hand_over(an_output(upload=False, place=str(target)), str(tmp_path)) is None
    assert outputs.hand_over(an_output(upload=False, place=str(tmp_path / "s/f"), path="o/f"), str(tmp_path)) is None
    assert (target / "f").read_text() == (tmp_path / "s/f").read_text() == "x"
    assert (door.files, door.trees) == ({}, {})


def test_an_output_whose_place_is_an_object_store_goes_there(door, outputs, tmp_path):
    (tmp_path / "o/sub").mkdir(parents=True)
    (tmp_path / "o/sub/a b").write_text("1")
    assert outputs.hand_over(an_output(upload=False, source="outputs.o"), str(tmp_path)) is None
    (tmp_path / "f").mkdir()
    (tmp_path / "f/one").write_text("2")
    outputs.hand_over(an_output(upload=False, source="outputs.f", path="f/one", type="uri_file"), str(tmp_path))
    assert door.files == {
        "/v1/sources/outputs.o/file?path=sub/a%20b": b"1", "/v1/sources/outputs.f/file?path=": b"2",
    }  # fmt: skip
    assert door.trees == {}
