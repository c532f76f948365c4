"""The site store: whole or not at all, once, and never beyond the disk."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ferryml.domain.errors import NotFound, Refused, Unavailable
from ferryml.gateway.store import SiteStore

DATA = b"some bytes" * 1000
DIGEST = f"sha256:{hashlib.sha256(DATA).hexdigest()}"


@pytest.fixture
def store(tmp_path: Path) -> SiteStore:
    ids = iter(range(1000))
    return SiteStore(tmp_path / "store", 0, lambda: f"id{next(ids)}")


def test_put_and_read(store: SiteStore) -> None:
    assert store.put([DATA[:10], DATA[10:]], DIGEST) == (DIGEST, len(DATA))
    assert store.path(DIGEST).read_bytes() == DATA
    assert store.read(DIGEST, 1 << 20) == DATA
    assert store.size(DIGEST) == len(DATA)


def test_other_bytes_than_promised_leave_nothing(store: SiteStore, tmp_path: Path) -> None:
    with pytest.raises(Refused) as caught:
        store.put([b"other"], DIGEST)
    assert caught.value.code == "DigestMismatch"
    assert not store.has(DIGEST)
    assert list((tmp_path / "store" / "drafts").iterdir()) == []


@pytest.mark.parametrize("digest", ["", "sha256:", "sha256:../../etc/passwd", "md5:" + "a" * 64, "sha256:" + "A" * 64])
def test_what_is_no_digest_is_no_path(store: SiteStore, digest: str) -> None:
    with pytest.raises(Refused) as caught:
        store.has(digest)
    assert caught.value.code == "BadValue"


def test_what_is_not_there(store: SiteStore) -> None:
    with pytest.raises(NotFound):
        store.path(DIGEST)


def test_a_small_file_only(store: SiteStore) -> None:
    store.put([DATA])
    with pytest.raises(Refused):
        store.read(DIGEST, 10)


def test_a_broken_fetch_goes_on_where_it_stopped(store: SiteStore) -> None:
    offsets: list[int] = []

    def source(offset: int) -> Iterator[bytes]:
        offsets.append(offset)
        yield DATA[offset : offset + 4000]
        if offset == 0:
            raise Unavailable("ServerUnreachable", "cut")
        yield DATA[offset + 4000 :]

    with pytest.raises(Unavailable):
        store.fetch(DIGEST, source)
    assert store.fetched(DIGEST) == 4000
    assert store.fetch(DIGEST, source).read_bytes() == DATA
    assert offsets == [0, 4000]


def test_a_damaged_fetch_starts_anew(store: SiteStore) -> None:
    with pytest.raises(Unavailable) as caught:
        store.fetch(DIGEST, lambda offset: iter([b"damaged"]))
    assert caught.value.code == "DigestMismatch"
    assert store.fetch(DIGEST, lambda offset: iter([DATA[offset:]])).read_bytes() == DATA


def test_many_askers_one_fetch(store: SiteStore) -> None:
    asked: list[int] = []
    gate = threading.Event()

    def source(offset: int) -> Iterator[bytes]:
        asked.append(offset)
        gate.wait(5)
        yield DATA

    threads = [threading.Thread(target=store.fetch, args=(DIGEST, source)) for _ in range(5)]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join(5)
    assert asked == [0]


def test_a_full_disk_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    store = SiteStore(tmp_path / "store", 1 << 62, lambda: "id")
    with pytest.raises(Unavailable) as caught:
        store.put([DATA])
    assert caught.value.code == "DiskFull"
    with pytest.raises(Unavailable):
        store.fetch(DIGEST, lambda offset: iter([DATA]))
    assert list((tmp_path / "store" / "drafts").iterdir()) == []


def test_drafts_of_an_earlier_life_are_swept_but_not_fetches(tmp_path: Path) -> None:
    drafts = tmp_path / "store" / "drafts"
    drafts.mkdir(parents=True)
    (drafts / "put-old").write_bytes(b"x")
    (drafts / f"get-{DIGEST[7:]}").write_bytes(DATA[:10])
    store = SiteStore(tmp_path / "store", 0, lambda: "id")
    assert not (drafts / "put-old").exists()
    assert store.fetched(DIGEST) == 10


def test_trimming_takes_the_least_used_and_never_the_pinned(store: SiteStore) -> None:
    digests = [store.put([bytes([n]) * 1000])[0] for n in range(4)]
    for age, digest in enumerate(digests):
        os.utime(store.path(digest), (1000 + age, 1000 + age))
    assert store.trim(2000, {digests[0]}) == 2000
    assert [store.has(digest) for digest in digests] == [True, False, False, True]
