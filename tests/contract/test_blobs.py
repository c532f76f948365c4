"""What every artifact store must do: verified, whole or not at all, resumable; on local files and a real S3 server."""

import hashlib
import os
import resource
import subprocess
import sys
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ferryml.domain.errors import Conflict, NotFound, Refused, TooLarge, Unavailable
from ferryml.store.blobs import ContentBlobs, open_blobs

MIB = 1024 * 1024
PATIENCE = pytest.mark.timeout(1020)


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@pytest.fixture(params=["folder", "file-url", pytest.param("s3", marks=PATIENCE)])
def blobs(request, tmp_path, monkeypatch) -> ContentBlobs:
    if request.param == "folder":
        return open_blobs(str(tmp_path / "artifacts"))
    if request.param == "file-url":
        return open_blobs(f"file://{tmp_path}/arti%20facts", tmp_path / "spool")
    return open_blobs(s3_url(request.getfixturevalue("s3_server"), monkeypatch), tmp_path / "spool")


def s3_url(server, monkeypatch, bucket=None):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_key)
    bucket = bucket or server.new_bucket()
    return f"s3://{bucket}/some/prefix?endpoint={server.url}&region={server.region}&allow_http=true"


def get(blobs, digest, *window):
    return b"".join(blobs.read(digest, *window))


def spooled(blobs):
    return [path.name for path in blobs._spool.folder.rglob("*")] if blobs._spool.folder.exists() else []


def test_what_was_put_can_be_read_whole_and_in_ranges(blobs):
    data = os.urandom(3 * MIB + 17)
    assert blobs.put([data[:5], data[5:MIB], b"", data[MIB:]]) == (digest(data), len(data))
    assert blobs.size(digest(data)) == len(data)
    assert get(blobs, digest(data)) == data
    for start, end in ((0, 1), (5, 5), (7, 3), (MIB - 1, 2 * MIB + 1), (len(data) - 1, None), (len(data), None)):
        assert get(blobs, digest(data), start, end) == data[start:end]
    assert get(blobs, digest(data), 10, len(data) + 50) == data[10:]
    assert all(len(piece) <= 16 * MIB for piece in blobs.read(digest(data)))
    assert spooled(blobs) == []


def test_nothing_is_a_blob_too(blobs):
    assert blobs.put([]) == (digest(b""), 0)
    assert get(blobs, digest(b"")) == b""
    assert blobs.size(digest(b"")) == 0


def test_has_says_which_of_many_are_there(blobs):
    stored = {blobs.put([bytes([number])])[0] for number in range(5)}
    asked = [digest(bytes([number])) for number in range(40)]
    assert blobs.has(asked) == stored
    assert blobs.has([]) == set()
    assert set(blobs.digests()) == {(each, 1) for each in stored}


def test_putting_twice_is_putting_once(blobs):
    assert blobs.put([b"abc"]) == blobs.put([b"a", b"bc"], digest(b"abc"))
    assert list(blobs.digests()) == [(digest(b"abc"), 3)]


def test_other_bytes_than_announced_are_refused_and_leave_nothing(blobs):
    with pytest.raises(Refused) as caught:
        blobs.put([b"abc"], digest(b"abd"))
    assert caught.value.code == "DigestMismatch"
    assert blobs.has([digest(b"abc"), digest(b"abd")]) == set()
    assert spooled(blobs) == []


def test_a_source_that_breaks_leaves_nothing(blobs):
    def breaking():
        yield b"abc"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        blobs.put(breaking())
    assert list(blobs.digests()) == []
    assert spooled(blobs) == []


def test_deleted_and_never_stored_are_missing(blobs):
    stored, _ = blobs.put([b"abc"])
    blobs.delete(stored)
    blobs.delete(stored)
    for ask in (blobs.size, blobs.read):
        with pytest.raises(NotFound) as caught:
            ask(stored)
        assert caught.value.code == "BlobMissing"


@pytest.mark.parametrize("wrong", ["", "abc", "sha256:", "sha256:" + "A" * 64, "sha256:../../" + "a" * 58, "md5:x"])
def test_what_is_no_digest_is_refused(blobs, wrong):
    for ask in (blobs.size, blobs.read, blobs.delete, lambda value: blobs.has([value])):
        with pytest.raises(Refused):
            ask(wrong)


# Uploads


def test_an_upload_goes_on_where_it_stopped(blobs):
    data = os.urandom(2 * MIB)
    assert blobs.upload_offset("up-1") == 0
    assert blobs.upload_append("up-1", 0, [data[:100], data[100:MIB]], len(data)) == MIB
    assert blobs.upload_offset("up-1") == MIB
    assert blobs.has([digest(data)]) == set()
    assert blobs.upload_append("up-1", MIB, [data[MIB:]], len(data)) == len(data)
    assert blobs.upload_finish("up-1", digest(data)) == len(data)
    assert get(blobs, digest(data)) == data
    assert blobs.upload_finish("up-1", digest(data)) == len(data)
    assert spooled(blobs) == []


def test_an_empty_file_is_uploaded_without_sending_anything(blobs):
    assert blobs.upload_finish("up-1", digest(b"")) == 0
    assert get(blobs, digest(b"")) == b""


def test_a_large_upload_arrives_in_parts(blobs):
    piece = os.urandom(MIB)
    data = piece * 20
    assert blobs.upload_append("up-1", 0, (piece for _ in range(20)), len(data)) == len(data)
    assert blobs.upload_finish("up-1", digest(data)) == len(data)
    assert get(blobs, digest(data), 19 * MIB - 5, 19 * MIB + 5) == piece[-5:] + piece[:5]
    assert blobs.size(digest(data)) == len(data)


def test_another_program_can_finish_an_upload(blobs):
    blobs.upload_append("up-1", 0, [b"abc"], 10)
    other = ContentBlobs(blobs.shelf, blobs._spool.folder)
    assert other.upload_offset("up-1") == 3
    assert other.upload_append("up-1", 3, [b"def"], 10) == 6
    assert blobs.upload_append("up-1", 6, [b"g"], 10) == 7
    assert other.upload_finish("up-1", digest(b"abcdefg")) == 7


def test_the_wrong_place_is_refused_with_the_right_one(blobs):
    blobs.upload_append("up-1", 0, [b"abc"], 10)
    for wrong in (0, 2, 4):
        with pytest.raises(Refused) as caught:
            blobs.upload_append("up-1", wrong, [b"x"], 10)
        assert (caught.value.code, caught.value.details) == ("OffsetMismatch", {"offset": 3})
    assert blobs.upload_offset("up-1") == 3


def test_too_much_is_refused_and_not_kept(blobs):
    blobs.upload_append("up-1", 0, [b"abc"], 5)
    with pytest.raises(TooLarge) as caught:
        blobs.upload_append("up-1", 3, [b"d", b"ef"], 5)
    assert caught.value.code == "UploadTooLarge"
    assert blobs.upload_append("up-1", 3, [b"de"], 5) == 5
    assert blobs.upload_finish("up-1", digest(b"abcde")) == 5


def test_a_cut_connection_keeps_what_came_through(blobs):
    def cut():
        yield b"abc"
        yield b"def"
        raise ConnectionError

    with pytest.raises(ConnectionError):
        blobs.upload_append("up-1", 0, cut(), 100)
    assert blobs.upload_offset("up-1") == 6
    blobs.upload_append("up-1", 6, [b"g"], 100)
    assert blobs.upload_finish("up-1", digest(b"abcdefg")) == 7


def test_an_upload_of_something_else_is_refused_and_forgotten(blobs):
    blobs.upload_append("up-1", 0, [b"abc"], 100)
    with pytest.raises(Refused) as caught:
        blobs.upload_finish("up-1", digest(b"abd"))
    assert caught.value.code == "DigestMismatch"
    assert blobs.upload_offset("up-1") == 0
    assert list(blobs.digests()) == []
    with pytest.raises(NotFound):
        blobs.upload_finish("up-1", digest(b"abd"))


def test_bytes_that_rotted_in_the_spool_are_noticed(blobs):
    blobs.upload_append("up-1", 0, [b"abc"], 100)
    (part,) = blobs._spool.folder.glob("*.part")
    part.write_bytes(b"abX")
    with pytest.raises(Refused):
        ContentBlobs(blobs.shelf, blobs._spool.folder).upload_finish("up-1", digest(b"abc"))


def test_two_writers_of_one_upload_do_not_mix(blobs):
    inside, go_on = threading.Event(), threading.Event()

    def slow():
        yield b"a"
        inside.set()
        go_on.wait(20)
        yield b"b"

    writer = threading.Thread(target=lambda: blobs.upload_append("up-1", 0, slow(), 100))
    writer.start()
    assert inside.wait(20)
    with pytest.raises(Conflict):
        blobs.upload_append("up-1", 1, [b"x"], 100)
    go_on.set()
    writer.join(20)
    assert blobs.upload_finish("up-1", digest(b"ab")) == 2


def test_a_dropped_upload_starts_again(blobs):
    blobs.upload_append("up-1", 0, [b"abc"], 100)
    blobs.upload_drop("up-1")
    blobs.upload_drop("up-1")
    assert blobs.upload_offset("up-1") == 0
    blobs.upload_append("up-1", 0, [b"d"], 100)
    assert blobs.upload_finish("up-1", digest(b"d")) == 1


def test_a_sweep_takes_only_forgotten_uploads(blobs):
    blobs.upload_append("old", 0, [b"abc"], 100)
    blobs.upload_append("new", 0, [b"abc"], 100)
    long_ago = datetime(2001, 1, 1, tzinfo=UTC)
    os.utime(blobs._spool.folder / "old.part", (long_ago.timestamp(), long_ago.timestamp()))
    assert blobs.upload_sweep(long_ago + timedelta(hours=1)) == 1
    assert (blobs.upload_offset("old"), blobs.upload_offset("new")) == (0, 3)


@pytest.mark.parametrize("wrong", ["", "../x", "a/b", "a.b", "x" * 129, "a\x00"])
def test_hostile_upload_ids_are_refused(blobs, wrong):
    for ask in (blobs.upload_offset, blobs.upload_drop, lambda name: blobs.upload_append(name, 0, [b"x"], 9)):
        with pytest.raises(Refused):
            ask(wrong)


# Faults


@contextmanager
def disk_of(size: int):
    """No file of this process may grow beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_said_and_leaves_nothing_half(blobs):
    blobs.upload_append("up-1", 0, [b"a" * 1000], MIB)
    with disk_of(5000):
        with pytest.raises(Unavailable) as put:
            blobs.put([b"x" * 3000, b"y" * 3000])
        with pytest.raises(Unavailable) as append:
            blobs.upload_append("up-1", 1000, [b"b" * 3000, b"c" * 3000], MIB)
    assert (put.value.code, append.value.code) == ("DiskFull", "DiskFull")
    assert blobs.upload_offset("up-1") == 1000
    assert list(blobs.digests()) == []
    assert spooled(blobs) == ["up-1.part"]
    blobs.upload_append("up-1", 1000, [b"b"], MIB)
    assert blobs.upload_finish("up-1", digest(b"a" * 1000 + b"b")) == 1001


UPLOADER = """
import sys
from pathlib import Path
from ferryml.store.blobs import open_blobs
blobs = open_blobs(sys.argv[1])
for number in range(100_000):
    print(blobs.put([str(number).encode() * 20_000])[0], flush=True)
"""


def test_kill_9_leaves_only_whole_blobs_and_all_acknowledged(tmp_path):
    root = str(tmp_path / "artifacts")
    acknowledged = set()
    for count in (3, 10):
        writer = subprocess.Popen([sys.executable, "-c", UPLOADER, root], stdout=subprocess.PIPE, text=True)
        acknowledged |= {writer.stdout.readline().strip() for _ in range(count)}
        writer.kill()
        acknowledged |= {line for line in writer.stdout.read().split("\n") if len(line) == 71}
        writer.wait(20)
        writer.stdout.close()
        blobs = open_blobs(root)
        stored = {each for each, _ in blobs.digests()}
        assert acknowledged <= stored
        assert all(digest(get(blobs, each)) == each for each in stored)


def test_a_store_that_does_not_answer_is_unavailable(tmp_path, monkeypatch, free_port):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")
    url = f"s3://bucket?endpoint=http://127.0.0.1:{free_port}&region=us-east-1&allow_http=true"
    blobs = open_blobs(url, tmp_path / "spool")
    for ask in (lambda: blobs.put([b"abc"]), lambda: blobs.has([digest(b"abc")])):
        with pytest.raises(Unavailable):
            ask()
    assert spooled(blobs) == []


@PATIENCE
def test_wrong_credentials_are_said_without_them(tmp_path, monkeypatch, s3_server):
    url = s3_url(s3_server, monkeypatch)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong-secret")
    with pytest.raises(Unavailable) as caught:
        open_blobs(url, tmp_path / "spool").put([b"abc"])
    assert "wrong-secret" not in f"{caught.value} {caught.value.hint}"


@PATIENCE
def test_several_replicas_share_an_object_store(tmp_path, monkeypatch, s3_server):
    bucket = s3_server.new_bucket()
    first, second = (open_blobs(s3_url(s3_server, monkeypatch, bucket), tmp_path / name) for name in "ab")
    stored, _ = first.put([b"abc"])
    assert get(second, stored) == b"abc"
    assert second.put([b"abc"]) == (stored, 3)


@pytest.mark.parametrize("url", ["what://bucket/x", "s3://bucket?no_such_setting=1", "s3://"])
def test_an_address_that_means_nothing_is_refused(tmp_path, url):
    with pytest.raises(Refused) as caught:
        open_blobs(url, tmp_path / "spool")
    assert caught.value.code == "BadValue"


def test_an_object_store_needs_a_spool():
    with pytest.raises(Refused):
        open_blobs("s3://bucket?region=us-east-1")


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(pieces=st.lists(st.binary(max_size=40), max_size=8), cut=st.integers(0, 8))
def test_any_cutting_of_an_upload_gives_the_same_bytes(tmp_path_factory, pieces, cut):
    blobs = open_blobs(str(tmp_path_factory.mktemp("any")))
    data = b"".join(pieces)
    offset = blobs.upload_append("u", 0, pieces[:cut], len(data))
    assert blobs.upload_append("u", offset, pieces[cut:], len(data)) == len(data)
    assert blobs.upload_finish("u", digest(data)) == len(data)
    assert get(blobs, digest(data)) == data
