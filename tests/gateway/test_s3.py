from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ferryml.domain.errors import Forbidden, NotFound, Refused
from ferryml.gateway.objects import Entry
from ferryml.gateway.s3 import S3, Bucket, signature
from ferryml.gateway.upstream import Upstream, pieces
from ferryml.sdk.wire import Route
from fixtures_s3 import S3Server


@pytest.fixture
def s3() -> Iterator[S3]:
    upstream = Upstream(Route("", connect_timeout_s=5), near=frozenset({"127.0.0.1"}))
    yield S3(upstream, lambda: datetime.now(UTC))
    upstream.close()


@pytest.fixture
def bucket(s3_server: S3Server) -> Bucket:
    return Bucket(
        s3_server.url, s3_server.new_bucket(), s3_server.region, s3_server.access_key, s3_server.secret_key
    )  # fmt: skip


def written(s3: S3, bucket: Bucket, folder: Path, **files: bytes) -> None:
    for name, data in files.items():
        (folder / "x").write_bytes(data)
        s3.write(bucket, name.replace("__", "/"), folder / "x")


def read(s3: S3, bucket: Bucket, key: str, **headers: str) -> bytes:
    answer = s3.read(bucket, key, headers)
    try:
        return b"".join(pieces(answer))
    finally:
        answer.close()


def test_what_is_written_is_listed_and_read(s3: S3, bucket: Bucket, tmp_path: Path) -> None:
    written(s3, bucket, tmp_path, data__a=b"one", data__sub__b=b"", database=b"x")
    (tmp_path / "x").write_bytes(b"odd")
    s3.write(bucket, "data/ü &+%=? ~.txt", tmp_path / "x")
    found = s3.list(bucket, "data")
    assert sorted(found, key=lambda entry: entry.path) == [
        Entry("a", 3), Entry("sub/b", 0), Entry("ü &+%=? ~.txt", 3),
    ]  # fmt: skip
    assert s3.list(bucket, "/data/a") == [Entry("", 3)]
    assert read(s3, bucket, "data/a") == b"one"
    assert read(s3, bucket, "data/a", Range="bytes=1-") == b"ne"
    assert read(s3, bucket, "data/ü &+%=? ~.txt") == b"odd"
    assert read(s3, bucket, "data/sub/b") == b""


def test_a_large_file_goes_in_parts(s3: S3, bucket: Bucket, tmp_path: Path) -> None:
    data = b"0123456789abcdef" * (12 << 16)  # 12 MiB
    (tmp_path / "x").write_bytes(data)
    s3.write(bucket, "large", tmp_path / "x", whole_up_to=1 << 20, part=5 << 20)
    assert read(s3, bucket, "large") == data


def test_long_lists_have_pages(s3: S3, bucket: Bucket, s3_server: S3Server) -> None:
    folder = s3_server.folder / bucket.name / "many"
    folder.mkdir()
    for number in range(1200):
        (folder / f"{number:04}").touch()
    assert len(s3.list(bucket, "many")) == 1200


def test_nothing_there_and_nothing_allowed_are_said(s3: S3, bucket: Bucket) -> None:
    with pytest.raises(NotFound):
        s3.list(bucket, "nothing")
    with pytest.raises(NotFound):
        s3.read(bucket, "nothing", {})
    with pytest.raises(NotFound):
        s3.list(replace(bucket, name="no-such-bucket"), "x")
    with pytest.raises(Refused, match="403") as caught:
        s3.list(replace(bucket, secret_key="wrong"), "x")
    assert "secret_ref" in caught.value.hint
    with pytest.raises(Refused):
        s3.list(replace(bucket, access_key=""), "x")


def test_the_neighbourhood_is_no_bucket() -> None:
    upstream = Upstream(Route(""))
    with pytest.raises(Forbidden):
        S3(upstream, lambda: datetime.now(UTC)).list(Bucket("http://169.254.169.254", "latest"), "x")
    upstream.close()


def test_secrets_are_not_shown(bucket: Bucket) -> None:
    assert bucket.secret_key not in repr(bucket)


def test_the_signature_is_the_published_one() -> None:
    """The example of the service's own documentation (GET object), with its path-style twin recomputed by botocore."""
    bucket = Bucket("https://s3.amazonaws.com", "b", "us-east-1", "AKIAIOSFODNN7EXAMPLE", "s", "token")
    made = signature(
        bucket, "GET", "https://s3.amazonaws.com/b/k", "", "UNSIGNED-PAYLOAD", datetime(2026, 1, 2, tzinfo=UTC)
    )
    assert made["x-amz-date"] == "20260102T000000Z"
    assert made["x-amz-security-token"] == "token"
    assert "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token" in made["Authorization"]
    assert (
        signature(replace(bucket, access_key=""), "GET", "https://h/b", "", "", datetime(2026, 1, 2, tzinfo=UTC)) == {}
    )


def test_a_service_with_tokens_is_shown_one() -> None:
    bucket = Bucket("https://storage.googleapis.com", "b", bearer=lambda: "ya29")
    made = signature(bucket, "GET", "https://storage.googleapis.com/b/k", "", "", datetime(2026, 1, 2, tzinfo=UTC))
    assert made == {"Authorization": "Bearer ya29"}
