"""Places of datastores as the gateway reaches them: folders of a machine with nothing outside of them, and buckets."""

from __future__ import annotations

from pathlib import Path

import pytest

from ferryml.domain.errors import FerryError, NotFound, Refused, Unavailable
from ferryml.domain.orders import DatastorePath
from ferryml.gateway.objects import Entry, Shelf
from ferryml.gateway.placed import Placed


def place(root: Path | str, path: str = "", kind: str = "local") -> DatastorePath:
    return DatastorePath(datastore="shelf", kind=kind, root=str(root), path=path)


def test_a_folder_is_written_listed_and_read(tmp_path: Path) -> None:
    placed, file = Placed(), tmp_path / "new"
    file.write_bytes(b"1\n")
    root = tmp_path / "root"
    root.mkdir()
    at = place(root, "records/blue")
    placed.write(at, "w", "2026/03/a.jsonl", file)
    file.write_bytes(b"2\n")
    placed.write(at, "w", "2026/03/a.jsonl", file)
    assert placed.entries(at, "w") == [Entry("2026/03/a.jsonl", 2)]
    assert b"".join(placed.read(at, "w", "2026/03/a.jsonl")) == b"2\n"
    single = place(root, "records/blue/2026/03/a.jsonl")
    assert placed.entries(single, "w") == [Entry("", 2)]
    assert b"".join(placed.read(single, "w", "")) == b"2\n"


def test_nothing_outside_of_the_datastore_is_reached(tmp_path: Path) -> None:
    root, secret = tmp_path / "root", tmp_path / "secret"
    root.mkdir()
    secret.write_text("s")
    (root / "link").symlink_to(secret)
    (root / "up").symlink_to(tmp_path)
    placed = Placed()
    assert placed.entries(place(root), "w") == []
    for path in ("link", "up/secret", "../secret", "up"):
        with pytest.raises(Refused) as caught:
            placed.entries(place(root, path), "w")
        assert caught.value.code == "PathEscapes"
    with pytest.raises(Refused):
        b"".join(placed.read(place(root), "w", "link"))
    with pytest.raises(Refused):
        placed.write(place(root), "w", "up/new", secret)
    assert not (tmp_path / "new").exists()


def test_what_is_not_there_or_not_ours_is_said(tmp_path: Path) -> None:
    placed = Placed()
    with pytest.raises(NotFound):
        placed.entries(place(tmp_path, "none"), "w")
    with pytest.raises(Unavailable):
        b"".join(placed.read(place(tmp_path), "w", "none"))
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable):
        placed.write(place(tmp_path, "file"), "w", "below", tmp_path / "file")
    with pytest.raises(FerryError) as caught:
        placed.entries(place("s3://b", kind="s3"), "w")
    assert caught.value.code == "NotSupported"


def test_buckets_are_asked_by_the_names_of_their_objects(tmp_path: Path) -> None:
    class Store:
        def list(self, where: str, prefix: str) -> list[Entry]:
            asked.append((where, prefix))
            return [Entry("a", 1)]

        def write(self, where: str, key: str, file: Path) -> None:
            asked.append((where, key))

    asked: list[tuple[str, str]] = []
    placed = Placed(lambda found, workspace: Shelf(Store(), f"{found.root} of {workspace}"))  # type: ignore[arg-type]  no read
    at = place("s3://bucket/prefix", "records", "s3")
    assert placed.entries(at, "w") == [Entry("a", 1)]
    placed.write(at, "w", "2026/a.jsonl", tmp_path / "x")
    assert asked == [
        ("s3://bucket/prefix of w", "prefix/records"),
        ("s3://bucket/prefix of w", "prefix/records/2026/a.jsonl"),
    ]
    with pytest.raises(Refused):
        placed.write(at, "w", "../a", tmp_path / "x")
