"""Local files become content."""

import os
import random

import pytest

from ferryml.domain.errors import Refused, Unavailable
from ferryml.domain.spec import Model
from ferryml.sdk.flow import Answer, Pause
from ferryml.sdk.uploads import CHUNK, SMALL, posted, scan, substitute, upload


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "code"
    (made / "sub").mkdir(parents=True)
    (made / "a.py").write_text("a")
    (made / "sub" / "b.bin").write_bytes(random.Random(1).randbytes(SMALL + 1))
    (made / ".git").mkdir()
    (made / ".git" / "x").write_text("x")
    (made / "big.log").write_text("log")
    return made


def entries(content):
    return {path for path, _ in content.sources.values() if not isinstance(path, bytes)}


def test_the_same_files_are_the_same_content(folder):
    first = scan(folder)
    os.utime(folder / "a.py", (1, 1))
    assert scan(folder).digest == first.digest
    (folder / "a.py").chmod(0o755)
    assert scan(folder).digest != first.digest


def test_amlignore_beats_gitignore(folder):
    (folder / ".gitignore").write_text("a.py\n")
    assert {path.name for path in entries(scan(folder, ignore=True))} == {".gitignore", "b.bin", "big.log"}
    (folder / ".amlignore").write_text("*.log\n!x\n")
    assert {path.name for path in entries(scan(folder, ignore=True))} == {".gitignore", ".amlignore", "a.py", "b.bin"}
    assert len(entries(scan(folder))) == 6


def test_links_out_of_the_folder_are_refused(folder):
    (folder / "in").symlink_to("a.py")
    scan(folder)
    (folder / "out").symlink_to("/etc/hostname")
    with pytest.raises(Refused) as caught:
        scan(folder)
    assert caught.value.code == "PathEscapes"
    (folder / "out").unlink()
    (folder / "dir").symlink_to("/etc")
    with pytest.raises(Refused):
        scan(folder)


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(Refused) as caught:
        scan(tmp_path / "absent")
    assert caught.value.code == "FileNotFound"
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(Refused) as caught:
            scan(path)
        assert caught.value.code == "BadValue"


def test_each_byte_goes_once(client, folder):
    calls, progress = [], []
    client._hears = calls.append
    content = scan(folder)
    reference = client.run(upload("team", content, lambda done, total: progress.append((done, total))))
    assert reference == f"content:tree:{content.digest}:code"
    assert progress[-1][0] == progress[-1][1] > SMALL
    first = len(calls)
    assert first > 3
    client.run(upload("team", content))
    assert len(calls) == first + 1


def test_large_files_go_in_pieces_and_come_back(client, tmp_path):
    data = random.Random(2).randbytes(2 * CHUNK + 5)
    (tmp_path / "big").write_bytes(data)
    calls = []
    client._hears = calls.append
    made = client.models.create(Model(name="big", path=str(tmp_path / "big")))
    assert sum("PATCH" in call for call in calls) == 3
    client.models.download("big", made["version"], tmp_path / "dl")
    assert (tmp_path / "dl" / "big").read_bytes() == data


def test_an_upload_that_broke_goes_on_where_it_stopped(tmp_path):
    (tmp_path / "f").write_bytes(b"x" * (SMALL + 10))
    content = scan(tmp_path / "f")
    flow = upload("w", content)
    next(flow)
    flow.send(Answer(200, {}, b'{"missing": ["%s"]}' % content.digest.encode()))
    patch = flow.send(Answer(201, {}, b'{"id": "u", "offset": 0, "done": false}'))
    assert patch.method == "PATCH"
    assert isinstance(flow.throw(Unavailable("ServerUnreachable", "cut")), Pause)
    assert flow.send(None).method == "GET"
    again = flow.send(Answer(200, {}, b'{"id": "u", "offset": 100, "done": false}'))
    assert (again.headers["Upload-Offset"], len(again.body)) == ("100", SMALL - 90)
    assert flow.send(Answer(204, {"upload-offset": str(SMALL + 10)}, b"")).path.endswith("/finish")


def test_an_upload_gives_up_in_the_end(tmp_path):
    (tmp_path / "f").write_bytes(b"x" * (SMALL + 10))
    content = scan(tmp_path / "f")
    flow = upload("w", content)
    next(flow)
    flow.send(Answer(200, {}, b'{"missing": ["%s"]}' % content.digest.encode()))
    step = flow.send(Answer(201, {}, b'{"id": "u", "offset": 0, "done": false}'))
    with pytest.raises(Unavailable):  # noqa: PT012 - the failure comes after an unknown number of pieces
        for _ in range(100):
            match step:
                case Pause():
                    step = flow.send(None)
                case _ if step.method == "GET":
                    step = flow.send(Answer(200, {}, b'{"id": "u", "offset": 0, "done": false}'))
                case _:
                    step = flow.throw(Unavailable("ServerUnreachable", "cut"))


def test_only_places_of_content_are_replaced(client, folder):
    spec = {"code": str(folder), "command": "/bin/sh", "inputs": {"a": {"path": str(folder / "a.py")}},
            "inference_config": {"scoring_route": {"path": "/score"}}, "model": "azureml:m:1"}  # fmt: skip
    made = client.run(substitute("team", spec))
    assert made["code"].startswith("content:tree:sha256:")
    assert made["inputs"]["a"]["path"].endswith(":a.py")
    assert (made["command"], made["inference_config"], made["model"]) == (
        "/bin/sh", spec["inference_config"], "azureml:m:1",
    )  # fmt: skip


def test_what_was_not_written_is_not_posted():
    assert posted(Model(name="m", path="azureml:x:1")) == {"name": "m", "path": "azureml:x:1"}


def test_a_build_context_is_a_snapshot_like_code(client, folder):
    (folder / ".amlignore").write_text("*.log\n")
    made = client.run(substitute("team", {"build": {"path": str(folder), "dockerfile_path": "Dockerfile"}}))
    assert made["build"]["path"].split(":")[2:4] == str(scan(folder, ignore=True)).split(":")[2:4]
    assert made["build"]["path"] != str(scan(folder))
