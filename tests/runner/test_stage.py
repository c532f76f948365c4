import pytest

from ferryml.runner.door import Rejected
from ferryml.runner.stage import Escapes, check_path, stage


@pytest.mark.parametrize("path", ["a", "a/b.txt", "...", "a b/ü.csv", "-x", "~"])
def test_plain_paths_pass(path):
    assert check_path(path) == path


@pytest.mark.parametrize("path", ["", "/", "/a", "a/", "..", "a/../b", "./a", "a//b", "a\\b", "C:\\x", "a\0b", "a\nb"])
def test_paths_that_leave_their_folder_do_not(path):
    with pytest.raises(Escapes):
        check_path(path)


def test_links_and_copies_are_repeatable_and_specials_are_left_out(tmp_path):
    source = tmp_path / "source"
    (source / "deep").mkdir(parents=True)
    (source / "deep" / "f").write_text("x")
    (source / "dangling").symlink_to(tmp_path / "nowhere")
    import os

    os.mkfifo(source / "pipe")
    plan = {
        "overlay": str(tmp_path / "no environment"), "folders": ["inputs", "code/outputs"], "fetch": [],
        "links": [{"from": str(source), "to": "inputs/linked"}],
        "copies": [{"what": "it", "from": str(source), "to": "inputs/copied"}],
    }  # fmt: skip
    said = []
    for _ in range(2):
        stage(plan, str(tmp_path / "job"), None, said.append)
    assert (tmp_path / "job/inputs/linked/deep/f").read_text() == "x"
    assert sorted(p.name for p in (tmp_path / "job/inputs/copied").iterdir()) == ["deep"]
    assert said[0] == "copying it"


class Place:
    """An object store behind the gateway: name -> bytes."""

    def __init__(self, **objects):
        self.objects = objects

    def get_json(self, path):
        assert path == "/v1/sources/inputs.x/entries"
        return {"entries": [{"path": name, "size": len(data)} for name, data in self.objects.items()]}

    def download(self, path, target, digest):
        name = path.removeprefix("/v1/sources/inputs.x/file?path=")
        with open(target, "wb") as file:
            file.write(self.objects[name.replace("%20", " ")])


def from_place(folder, place, **item):
    known = {"what": "input x", "kind": "place", "source": "inputs.x", "to": "inputs/x", "read_only": True}
    plan = {"overlay": "", "folders": [], "links": [], "copies": [], "fetch": [{**known, "single": False, **item}]}
    stage(plan, str(folder), place, lambda text: None)


def test_a_place_on_an_object_store_becomes_a_folder(tmp_path):
    from_place(tmp_path, Place(**{"a b": b"1", "sub/c": b"2"}))
    assert (tmp_path / "inputs/x/a b").read_bytes() == b"1"
    assert (tmp_path / "inputs/x/sub/c").read_bytes() == b"2"


def test_one_object_becomes_one_file(tmp_path):
    from_place(tmp_path, Place(**{"": b"1"}), single=True, to="inputs/x/data.csv")
    assert (tmp_path / "inputs/x/data.csv").read_bytes() == b"1"
    with pytest.raises(Rejected, match="holds 2 objects"):
        from_place(tmp_path, Place(a=b"1", b=b"2"), single=True)


def test_names_of_objects_stay_inside(tmp_path):
    with pytest.raises(Escapes):
        from_place(tmp_path, Place(**{"../../x": b"1"}))


def test_links_of_data_do_not_lead_out_of_it(tmp_path):
    data, secret = tmp_path / "data", tmp_path / "secret"
    (data / "sub").mkdir(parents=True)
    secret.write_text("token")
    (data / "sub/f").write_text("1")
    (data / "out").symlink_to(secret)
    (data / "in").symlink_to("sub/f")
    copy = {"what": "input x", "from": str(data), "to": "x", "within": str(data)}
    plan = {"overlay": "", "folders": [], "links": [], "copies": [copy], "fetch": []}
    stage(plan, str(tmp_path / "job"), None, lambda text: None)
    assert sorted(path.name for path in (tmp_path / "job/x").iterdir()) == ["in", "sub"]
    for verb in ("copies", "links"):
        bad = {**plan, "copies": [], verb: [{**copy, "from": str(data / "out")}]}
        with pytest.raises(Escapes):
            stage(bad, str(tmp_path / "job"), None, lambda text: None)
