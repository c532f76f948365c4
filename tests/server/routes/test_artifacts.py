"""/artifacts over HTTP: parts, ranges, digests."""

from ferryml.compile.tree import bytes_digest
from http_play import W, fault

DATA = bytes(range(256)) * 10
DIGEST = bytes_digest(DATA)
A = f"{W}/artifacts"


def patch(client, ident, offset, data):
    return client.patch(f"{A}/uploads/{ident}", content=data, headers={"Upload-Offset": str(offset)})


def test_an_upload_in_parts(http):
    client = http.as_()
    assert client.post(f"{A}/missing", json={"digests": [DIGEST]}).json() == {"missing": [DIGEST]}
    started = client.post(f"{A}/uploads", json={"digest": DIGEST, "size": len(DATA)})
    ident = started.json()["id"]
    assert patch(client, ident, 0, DATA[:1000]).headers["Upload-Offset"] == "1000"
    assert fault(patch(client, ident, 0, DATA[:1000])) == (409, "OffsetMismatch")
    assert client.get(f"{A}/uploads/{ident}").json()["offset"] == 1000
    assert fault(client.post(f"{A}/uploads/{ident}/finish"))[0] in (400, 409)
    started = client.post(f"{A}/uploads", json={"digest": DIGEST, "size": len(DATA)}).json()
    patch(client, started["id"], started["offset"], DATA[started["offset"] :])
    assert client.post(f"{A}/uploads/{started['id']}/finish").json() == {"digest": DIGEST, "size": len(DATA)}
    assert client.post(f"{A}/missing", json={"digests": [DIGEST]}).json() == {"missing": []}
    whole = client.get(f"{A}/blobs/{DIGEST}")
    assert (whole.content, whole.headers["Content-Length"]) == (DATA, str(len(DATA)))
    part = client.get(f"{A}/blobs/{DIGEST}", headers={"Range": "bytes=5-9"})
    assert (part.status_code, part.content) == (206, DATA[5:10])
    head = client.head(f"{A}/blobs/{DIGEST}")
    assert (head.content, head.headers["Content-Length"]) == (b"", str(len(DATA)))


def test_a_small_file(http):
    client = http.as_()
    assert client.put(f"{A}/blobs/{DIGEST}", content=DATA).status_code == 201
    assert fault(client.put(f"{A}/blobs/{DIGEST}", content=b"other")) == (400, "DigestMismatch")


def test_an_empty_file(http):
    client, digest = http.as_(), bytes_digest(b"")
    client.put(f"{A}/blobs/{digest}", content=b"")
    assert client.get(f"{A}/blobs/{digest}").content == b""


def test_what_is_not_there(http):
    client = http.as_()
    assert fault(client.get(f"{A}/blobs/{DIGEST}")) == (404, "BlobMissing")
    assert fault(client.get(f"{A}/blobs/sha256:x")) == (400, "BadRequest")
    assert fault(client.get(f"{A}/uploads/forged")) == (404, "NotFound")
    assert fault(client.post(f"{A}/uploads", json={"digest": DIGEST, "size": -1})) == (400, "BadRequest")
    assert fault(client.post(f"{A}/uploads", json={"digest": DIGEST, "size": 2**60})) == (413, "UploadTooLarge")


def test_an_upload_belongs_to_its_token(http):
    ident = http.as_().post(f"{A}/uploads", json={"digest": DIGEST, "size": 5}).json()["id"]
    assert fault(patch(http.as_(), ident, 0, b"12345")) == (404, "NotFound")
