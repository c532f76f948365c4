"""The gateway's calls to the server, each resumable."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response

from ferryml.domain.errors import NotFound, Unavailable
from gateway_play import PlayPlace
from server_play import PlayServer


def test_a_download_goes_on_at_its_offset(gateway: PlayPlace, play_server: PlayServer) -> None:
    digest, grant = play_server.keep(b"0123456789"), play_server.grant()
    assert b"".join(gateway.uplink.download(digest, grant, 0)) == b"0123456789"
    assert b"".join(gateway.uplink.download(digest, grant, 4)) == b"456789"
    assert b"".join(gateway.uplink.download(digest, grant, 10)) == b""
    assert gateway.uplink.size(digest, grant) == 10


def test_what_the_server_does_not_have(gateway: PlayPlace, play_server: PlayServer) -> None:
    with pytest.raises(NotFound):
        b"".join(gateway.uplink.download("sha256:" + "0" * 64, play_server.grant(), 0))


def test_an_upload_at_the_wrong_place_is_tried_again(
    gateway: PlayPlace, play_server: PlayServer, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    digest, _ = gateway.store.put([b"12345"])

    def elsewhere(request: Request) -> Response | None:
        if request.method == "PATCH":
            return Response(b'{"error": {"code": "OffsetMismatch", "message": "elsewhere"}}', 409)
        return None

    play_server.fault = elsewhere
    with pytest.raises(Unavailable):
        gateway.uplink.upload(digest, path, play_server.grant())
    play_server.fault = lambda request: None
    gateway.uplink.upload(digest, path, play_server.grant())
    assert play_server.blobs[digest] == b"12345"


def test_an_empty_file_is_a_file(gateway: PlayPlace, play_server: PlayServer, tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    digest, _ = gateway.store.put([])
    gateway.uplink.upload(digest, path, play_server.grant())
    assert play_server.blobs[digest] == b""
