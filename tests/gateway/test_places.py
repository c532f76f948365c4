"""From datastore and secret to a shelf."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from azure_play import ACCOUNT, KEY, BlobService
from ferryml.domain.errors import Refused
from ferryml.domain.orders import DatastorePath
from ferryml.gateway.azure import Container
from ferryml.gateway.objects import Entry, Shelf
from ferryml.gateway.places import Places, blob_url, bucket_of, entries_of
from ferryml.gateway.s3 import Bucket
from ferryml.gateway.upstream import Upstream
from ferryml.sdk.wire import Route
from web_play import Web

ACCOUNT_FILE = {"client_email": "me@p.iam", "private_key": "PEM", "private_key_id": "k", "token_uri": "https://t"}


def a_place(kind: str, root: str, **options: str) -> DatastorePath:
    return DatastorePath(datastore="lake", kind=kind, root=root, options=options)


@pytest.fixture
def places() -> Iterator[Places]:
    upstream = Upstream(Route(""), near=frozenset({"127.0.0.1"}))
    yield Places(upstream, lambda: datetime.now(UTC))
    upstream.close()


def test_s3_as_the_datastore_says() -> None:
    plain = a_place("s3", "s3://b/base", endpoint="minio.lan:9000", protocol="http")
    assert bucket_of(plain, {}) == Bucket("http://minio.lan:9000", "b")
    assert bucket_of(a_place("s3", "s3://b"), {}).base == "https://s3.us-east-1.amazonaws.com/b"
    with pytest.raises(Refused, match="lacks access_key_id"):
        bucket_of(plain, {"password": "x"})


def test_names_of_entries_are_those_of_programs_or_as_said() -> None:
    named = a_place("s3", "s3://b", **{"secret.access_key_id": "user", "secret": "s"})
    found = entries_of(named, {"user": " me ", "AWS_SECRET_ACCESS_KEY": "k\n", "AZURE-STORAGE-KEY": "z"})
    assert (found["access_key_id"], found["secret_access_key"], found["key"]) == ("me", "k", "z")
    with pytest.raises(Refused, match="lacks user"):
        entries_of(named, {})


def test_azure_is_read_with_an_account_key(places: Places, tmp_path: Path) -> None:
    service = BlobService()
    service.blobs["base/a"] = b"1"
    place = a_place("azure_blob", "az://c", account_name=ACCOUNT, endpoint=service.url)
    shelf = places.shelf(place, {"account_key": base64.b64encode(KEY).decode()})
    (tmp_path / "f").write_bytes(b"22")
    shelf.write("base/b", tmp_path / "f")
    assert shelf.list("base") == [Entry("a", 1), Entry("b", 2)]
    service.close()


def container(places: Places, secret: dict[str, str], kind: str = "azure_data_lake_gen2") -> Container:
    shelf: Shelf[Container] = places.shelf(a_place(kind, "az://fs", account_name="acct"), secret)
    return shelf.where


def test_azures_credentials(places: Places) -> None:
    assert container(places, {}) == Container("https://acct.blob.core.windows.net", "acct", "fs")
    assert container(places, {"AZURE_STORAGE_SAS_TOKEN": "?sv=1&sig=x"}).sas == "sv=1&sig=x"
    principal = {"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c", "AZURE_CLIENT_SECRET": "s"}
    assert container(places, principal).bearer is not None
    with pytest.raises(Refused, match="not base64"):
        container(places, {"account_key": "not base64!"})
    with pytest.raises(Refused, match="lacks account_key"):
        container(places, {"AZURE_TENANT_ID": "t", "AZURE_CLIENT_ID": "c"})


def test_azures_addresses() -> None:
    said = {"": "acct.blob.core.windows.net", "core.chinacloudapi.cn": "acct.blob.core.chinacloudapi.cn"}
    said["acct.privatelink.example"] = "acct.privatelink.example"
    for endpoint, host in said.items():
        assert blob_url(a_place("azure_blob", "az://c", endpoint=endpoint), "acct") == f"https://{host}"
    whole = a_place("azure_blob", "az://c", endpoint="http://azurite:10000/acct/")
    assert blob_url(whole, "acct") == "http://azurite:10000/acct"


def bucket(places: Places, secret: dict[str, str]) -> Bucket:
    shelf: Shelf[Bucket] = places.shelf(a_place("gcs", "gs://b/base"), secret)
    return shelf.where


def test_googles_credentials(places: Places) -> None:
    assert bucket(places, {}).base == "https://storage.googleapis.com/b"
    for name in ("service_account_key", "GOOGLE_APPLICATION_CREDENTIALS", "key.json"):
        assert bucket(places, {name: json.dumps(ACCOUNT_FILE)}).bearer is not None
    hmac = bucket(places, {"access_key_id": "GOOG1", "secret_access_key": "s"})
    assert (hmac.access_key, hmac.bearer) == ("GOOG1", None)
    with pytest.raises(Refused, match="not the JSON file"):
        bucket(places, {"service_account_key": "PEM"})
    with pytest.raises(Refused, match="lacks service_account_key"):
        bucket(places, {"password": "x"})


def test_google_is_asked_with_a_token(places: Places, tmp_path: Path) -> None:
    """Its XML interface is S3's, so the S3 client is what asks."""
    web = Web()
    listing = b"<ListBucketResult><Contents><Key>base/a</Key><Size>3</Size></Contents></ListBucketResult>"
    web.default = (200, {}, listing)
    place = a_place("gcs", "gs://b/base", endpoint=web.url)
    key = _pem()
    shelf = places.shelf(
        place, {"k.json": json.dumps({**ACCOUNT_FILE, "private_key": key, "token_uri": f"{web.url}/token"})}
    )
    web.answers["/token"] = (200, {}, json.dumps({"access_token": "ya29", "expires_in": 3600}).encode())
    assert shelf.list("base") == [Entry("a", 3)]
    assert [shown for path, shown in web.asked if path.startswith("/b?list-type=2")] == ["Bearer ya29"]
    web.close()


def _pem() -> str:
    private = rsa.generate_private_key(65537, 2048)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return private.private_bytes(*form).decode()


def test_kinds_that_nobody_reaches_are_refused(places: Places) -> None:
    with pytest.raises(Refused, match="azure_file"):
        places.shelf(a_place("azure_file", "az://share"), {})
