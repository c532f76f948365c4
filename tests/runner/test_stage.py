import pytest

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
