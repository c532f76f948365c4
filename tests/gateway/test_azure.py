"""Azure's storage over its own protocol; the service of the tests is held against a foreign client first."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import obstore
import pytest
from obstore.store import AzureStore

from azure_play import ACCOUNT, KEY, SAS, TOKEN, BlobService
from ferryml.domain.errors import NotFound, Refused, Unavailable
from ferryml.gateway.azure import Azure, Container, authorization
from ferryml.gateway.objects import Entry
from ferryml.gateway.upstream import Upstream, pieces
from ferryml.sdk.wire import Route


@pytest.fixture
def service() -> Iterator[BlobService]:
    made = BlobService()
    yield made
    made.close()


@pytest.fixture
def azure() -> Iterator[Azure]:
    upstream = Upstream(Route("", connect_timeout_s=5), near=frozenset({"127.0.0.1"}))
    yield Azure(upstream, lambda: datetime.now(UTC))
    upstream.close()


@pytest.fixture
def container(service: BlobService) -> Container:
    return Container(service.url, ACCOUNT, "c", key=KEY)


def read(azure: Azure, container: Container, key: str, **headers: str) -> bytes:
    answer = azure.read(container, key, headers)
    try:
        return b"".join(pieces(answer))
    finally:
        answer.close()


def test_the_service_of_these_tests_is_one_for_others_too(service: BlobService) -> None:
    key = base64.b64encode(KEY).decode()
    foreign = AzureStore(
        "c", account_name=ACCOUNT, account_key=key, endpoint=service.url, client_options={"allow_http": True}
    )
    obstore.put(foreign, "data/ü &+~.txt", b"odd", use_multipart=False)
    obstore.put(foreign, "data/parts", b"x" * (6 << 20), chunk_size=5 << 20, use_multipart=True)
    assert bytes(obstore.get_range(foreign, "data/ü &+~.txt", start=1, end=3)) == b"dd"
    names = {each["path"]: each["size"] for page in obstore.list(foreign, "data") for each in page}
    assert names == {"data/ü &+~.txt": 3, "data/parts": 6 << 20}
    wrong = base64.b64encode(KEY[::-1]).decode()
    thief = AzureStore(
        "c", account_name=ACCOUNT, account_key=wrong, endpoint=service.url, client_options={"allow_http": True}
    )
    with pytest.raises(Exception, match="403"):
        obstore.get(thief, "data/parts")


def test_what_is_written_is_listed_and_read(
    service: BlobService, azure: Azure, container: Container, tmp_path: Path
) -> None:
    for name, data in {"data/a": b"one", "data/sub/b": b"", "database": b"x", "data/ü &+%=?~.txt": b"odd"}.items():
        (tmp_path / "x").write_bytes(data)
        azure.write(container, name, tmp_path / "x")
    for number in range(7):
        service.blobs[f"many/{number}"] = b"."
    assert sorted(azure.list(container, "/data/"), key=lambda entry: entry.path) == [
        Entry("a", 3), Entry("sub/b", 0), Entry("ü &+%=?~.txt", 3),
    ]  # fmt: skip
    assert len(azure.list(container, "many")) == 7, "over several pages"
    assert azure.list(container, "data/a") == [Entry("", 3)]
    assert read(azure, container, "data/a") == b"one"
    assert read(azure, container, "data/a", Range="bytes=1-") == b"ne"
    assert read(azure, container, "data/ü &+%=?~.txt") == b"odd"
    tag = azure.read(container, "data/a", {})
    tag.close()
    assert read(azure, container, "data/a", **{"If-Match": tag.headers["ETag"]}) == b"one"
    with pytest.raises(Refused, match="412"):
        azure.read(container, "data/a", {"If-Match": '"other"'})


def test_a_large_file_goes_in_blocks(service: BlobService, azure: Azure, container: Container, tmp_path: Path) -> None:
    data = bytes(range(256)) * (12 << 12)
    (tmp_path / "x").write_bytes(data)
    azure.write(container, "large", tmp_path / "x", whole_up_to=1 << 20, block=5 << 20)
    assert service.blobs["large"] == data
    assert len(service.staged) == 3


@pytest.mark.parametrize("how", [{"sas": SAS}, {"bearer": lambda: TOKEN}])
def test_other_credentials(azure: Azure, container: Container, tmp_path: Path, how: dict) -> None:
    (tmp_path / "x").write_bytes(b"data")
    other = replace(container, key=b"", **how)
    azure.write(other, "f", tmp_path / "x")
    assert azure.list(other, "") == [Entry("f", 4)]
    assert read(azure, other, "f") == b"data"


def test_folders_of_a_hierarchy_are_no_files(azure: Azure) -> None:
    service = BlobService(folders=True)
    service.blobs |= {"lake/2026/a.csv": b"1", "lake/2026/b.csv": b"22"}
    lake = Container(service.url, ACCOUNT, "c", key=KEY)
    assert azure.list(lake, "lake") == [Entry("2026/a.csv", 1), Entry("2026/b.csv", 2)]
    assert azure.list(lake, "lake/2026/b.csv") == [Entry("", 2)]
    with pytest.raises(NotFound):
        azure.list(lake, "lake/2025")
    service.close()


def test_nothing_there_and_nothing_allowed_are_said(service: BlobService, azure: Azure, container: Container) -> None:
    with pytest.raises(NotFound):
        azure.list(container, "nothing")
    with pytest.raises(NotFound, match="BlobNotFound"):
        azure.read(container, "nothing", {})
    with pytest.raises(NotFound):
        azure.list(replace(container, name="other"), "x")
    for stranger in (replace(container, key=b"wrong"), replace(container, key=b"")):
        with pytest.raises(Refused, match="AuthenticationFailed") as caught:
            azure.list(stranger, "x")
        assert "secret_ref" in caught.value.hint


def test_a_busy_service_is_asked_again(service: BlobService, azure: Azure, container: Container) -> None:
    service.blobs["a"] = b"1"
    service.fail = 2
    assert azure.list(container, "a") == [Entry("", 1)]
    service.fail = 9
    with pytest.raises(Unavailable, match="ServerBusy"):
        azure.list(container, "a")


def test_secrets_are_not_shown(container: Container) -> None:
    shown = repr(replace(container, sas="sig=hush"))
    assert "hush" not in shown
    assert "0123456789abcdef" not in shown


def test_an_empty_body_is_signed_without_a_length(container: Container) -> None:
    known = {"x-ms-date": "Fri, 02 Jan 2026 00:00:00 GMT"}
    made = authorization(container, "PUT", f"{container.url}/c/f", {}, {**known, "Content-Length": "0"})
    assert made == authorization(container, "PUT", f"{container.url}/c/f", {}, known)
