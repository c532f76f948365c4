"""Outputs so far: whole files only, each content once, and the last word of a file that changes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from ferryml.runner.checkpoints import Keeper
from ferryml.runner.door import GaveUp, Rejected
from ferryml.runner.outputs import Outputs

ITEM = {"name": "o", "type": "uri_folder", "path": "o", "parts": [], "upload": True, "place": ""}


class Taking:
    """What the gateway would keep."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.said: list[dict[str, Any]] = []
        self.fails: Exception | None = None

    def put_file(self, path: str, source: str) -> None:
        self.files[path] = Path(source).read_bytes()

    def post_json(self, path: str, value: dict[str, Any]) -> None:
        if self.fails is not None:
            raise self.fails
        assert (path, value["so_far"]) == ("/v1/outputs", True)
        self.said.append(value)

    def close(self) -> None:
        return

    def tree(self) -> dict[str, bytes]:
        """The newest word, with content."""
        entries = self.said[-1]["tree"]["entries"]
        return {entry["path"]: self.files["/v1/blobs/" + entry["digest"]] for entry in entries}


@pytest.fixture
def door() -> Taking:
    return Taking()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "o").mkdir()
    return tmp_path


def a_keeper(door: Taking, folder: Path, interval_s: float = 60, **item: Any) -> Keeper:
    outputs = Outputs(door, [str(folder)], lambda message: None, 0)  # type: ignore[arg-type]
    return Keeper(door, outputs, [{**ITEM, **item}], str(folder), interval_s)  # type: ignore[arg-type]


def test_a_file_counts_once_it_has_not_changed_between_two_looks(door: Taking, folder: Path) -> None:
    keeper, file = a_keeper(door, folder), folder / "o" / "epoch-1"
    file.write_bytes(b"1")
    keeper.turn()
    assert door.said == []
    file.write_bytes(b"12")
    keeper.turn()
    assert door.said == []
    keeper.turn()
    assert door.tree() == {"epoch-1": b"12"}
    assert keeper.finish() == {"o"}


def test_what_did_not_change_is_not_said_again(door: Taking, folder: Path) -> None:
    keeper = a_keeper(door, folder)
    (folder / "o" / "a").write_bytes(b"1")
    for _ in range(5):
        keeper.turn()
    assert len(door.said) == len(door.files) == 1


def test_while_a_file_changes_its_last_whole_content_counts(door: Taking, folder: Path) -> None:
    keeper, file, other = a_keeper(door, folder), folder / "o" / "last", folder / "o" / "other"
    file.write_bytes(b"whole")
    keeper.turn()
    keeper.turn()
    other.write_bytes(b"x")
    for size in (100, 200):
        file.write_bytes(b"." * size)
        keeper.turn()
    assert door.tree() == {"last": b"whole", "other": b"x"}
    keeper.turn()
    assert door.tree() == {"last": b"." * 200, "other": b"x"}


def test_what_is_gone_is_left_out(door: Taking, folder: Path) -> None:
    keeper = a_keeper(door, folder)
    for name in ("a", "b"):
        (folder / "o" / name).write_bytes(name.encode())
    keeper.turn()
    keeper.turn()
    (folder / "o" / "a").unlink()
    keeper.turn()
    assert door.tree() == {"b": b"b"}


def test_a_file_that_is_replaced_is_new_although_it_looks_the_same(door: Taking, folder: Path) -> None:
    keeper, file = a_keeper(door, folder), folder / "o" / "a"
    file.write_bytes(b"1")
    os.utime(file, (1, 1))
    keeper.turn()
    keeper.turn()
    draft = folder / "draft"
    draft.write_bytes(b"2")
    os.utime(draft, (1, 1))
    draft.replace(file)
    keeper.turn()
    keeper.turn()
    assert door.tree() == {"a": b"2"}


@pytest.mark.parametrize("item", [{"upload": False}, {"place": "/mnt/x"}, {"source": "outputs.o"}])
def test_outputs_with_a_place_of_their_own_are_left_out(door: Taking, folder: Path, item: dict[str, Any]) -> None:
    keeper = a_keeper(door, folder, **item)
    (folder / "o" / "a").write_bytes(b"1")
    keeper.turn()
    keeper.turn()
    keeper.start()
    assert (door.said, keeper.finish()) == ([], set())


def test_a_gateway_that_is_away_is_asked_again_and_one_that_refuses_is_not(door: Taking, folder: Path) -> None:
    keeper = a_keeper(door, folder, interval_s=0.005)
    (folder / "o" / "a").write_bytes(b"1")
    door.fails = GaveUp("away")
    keeper.turn()
    with pytest.raises(GaveUp):
        keeper.turn()
    door.fails = None
    keeper.turn()
    assert door.tree() == {"a": b"1"}
    door.fails = Rejected(403, "StaleAttempt", "over")
    (folder / "o" / "b").write_bytes(b"2")
    keeper.start()
    keeper._thread.join(5)
    assert not keeper._thread.is_alive()
    assert keeper.finish() == {"o"}


def test_without_an_interval_nothing_is_looked_at(door: Taking, folder: Path) -> None:
    keeper = a_keeper(door, folder, interval_s=0)
    keeper.start()
    assert keeper.finish() == set()
