"""What object stores have in common."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from ferryml.domain.errors import NotFound, Refused, Unavailable
from ferryml.gateway.objects import Entry, Reply, Shelf, listed, refuse, slice_of, whole, xml


def test_a_folder_comes_before_an_object_of_its_name() -> None:
    names = {"data": 1, "data/a": 2, "data/": 0, "data2": 3}

    def pages(prefix: str):
        return iter([Entry(name, size) for name, size in names.items() if name.startswith(prefix)])

    assert listed(pages, "data/", "here") == [Entry("a", 2)]
    assert listed(pages, "data2", "here") == [Entry("", 3)]
    with pytest.raises(NotFound, match="of here"):
        listed(pages, "dat", "here")


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, NotFound), (401, Refused), (403, Refused), (409, Refused), (429, Unavailable), (503, Unavailable)],
)
def test_refusals_are_told_by_who_can_mend_them(status: int, kind: type[Exception]) -> None:
    with pytest.raises(kind, match="TooBad") as caught:
        refuse("bucket b", Reply(status, "", b"<Error><Code>TooBad</Code></Error>"), "k")
    assert ("secret_ref" in getattr(caught.value, "hint", "")) == (status in (401, 403))


def test_lists_hold_no_entities() -> None:
    assert xml(Reply(200, "", b"<a xmlns='urn:x'><b>1</b></a>")).findtext("b") == "1"
    for body in (b"<!DOCTYPE a><a/>", b"<!ENTITY x 'y'><a/>", b"no xml"):
        with pytest.raises(Unavailable):
            xml(Reply(200, "", body))


def test_files_are_read_in_slices(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"0123456789")
    assert b"".join(slice_of(tmp_path / "f", 2, 5)) == b"23456"
    assert b"".join(slice_of(tmp_path / "f", 8, 5)) == b"89"


def test_short_answers_are_read_whole() -> None:
    answer = httpx.Response(200, headers={"ETag": "t"}, content=b"body")
    assert whole(answer) == Reply(200, "t", b"body")


def test_a_shelf_speaks_of_its_own_place() -> None:
    class Store:
        def list(self, where: str, prefix: str) -> list[Entry]:
            return [Entry(f"{where}/{prefix}", 0)]

        def read(self, where: str, key: str, headers) -> httpx.Response:
            return httpx.Response(200, text=f"{where}/{key}")

        def write(self, where: str, key: str, file: Path) -> None:
            file.write_text(f"{where}/{key}")

    shelf = Shelf(Store(), "c")
    assert shelf.list("p") == [Entry("c/p", 0)]
    assert shelf.read("k", {}).text == "c/k"
