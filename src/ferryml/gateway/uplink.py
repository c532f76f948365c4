"""The gateway's calls to the server: bytes both ways, the journal, MLflow; each resumable, each safe to repeat."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import httpx

from ferryml.domain.errors import Conflict, Unavailable
from ferryml.domain.link import Journal, JournalAnswer
from ferryml.domain.sparse import sparse_json, what_is_known
from ferryml.sdk.wire import Wire

JSON = {"Content-Type": "application/json"}
PART = 8 << 20


class Uplink:
    """Below /gateway/v1 of the server."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def download(self, digest: str, grant: str, offset: int) -> Iterator[bytes]:
        """The bytes from `offset` on."""
        headers = {"X-Ferry-Grant": grant, "Accept-Encoding": "identity"}
        if offset:
            size = self.size(digest, grant)
            if size <= offset:
                return
            headers["Range"] = f"bytes={offset}-"
        yield from self._wire.stream(f"/gateway/v1/blobs/{digest}", headers=headers)

    def size(self, digest: str, grant: str) -> int:
        """Bytes of a blob that the grant lets us see; raises NotFound, Forbidden otherwise."""
        answer = self._wire.send("HEAD", f"/gateway/v1/blobs/{digest}", headers={"X-Ferry-Grant": grant})
        return int(answer.headers.get("Content-Length", "0"))

    def upload(self, digest: str, path: Path, grant: str) -> None:
        """Sends a file unless the server has it; goes on where an earlier attempt stopped."""
        size = path.stat().st_size
        body = json.dumps({"digest": digest, "size": size, "grant": grant}).encode()
        started = self._json("POST", "/gateway/v1/uploads", body)
        if started.get("done"):
            return
        ident, offset = str(started["id"]), int(cast(int, started.get("offset", 0)))
        with open(path, "rb") as file:
            while offset < size:
                file.seek(offset)
                offset = self._part(ident, offset, file.read(PART))
        self._wire.send("POST", f"/gateway/v1/uploads/{ident}/finish", content=b"", timeout_s=300)

    def journal(self, entries: Journal) -> JournalAnswer:
        body = sparse_json(entries)
        answer = self._wire.send("POST", "/gateway/v1/journal", content=body, headers=JSON, timeout_s=120)
        return what_is_known(JournalAnswer, answer.json())

    def mlflow(
        self, method: str, path: str, content: bytes, headers: Mapping[str, str], stream: bool = False
    ) -> httpx.Response:
        """Passes one MLflow call through; `path` is below /mlflow/, with query. Answers of any status come back."""
        where = f"/gateway/v1/mlflow/{path}"
        return self._wire.raw(method, where, content=content, headers=headers, stream=stream)

    def _part(self, ident: str, offset: int, part: bytes) -> int:
        headers = {"Upload-Offset": str(offset), "Content-Type": "application/octet-stream"}
        try:
            answer = self._wire.send(
                "PATCH", f"/gateway/v1/uploads/{ident}", content=part, headers=headers, timeout_s=120
            )
        except Conflict as error:
            raise Unavailable("OffsetMismatch", error.message, "The upload is continued at the right place.") from error
        return int(answer.headers.get("Upload-Offset", offset + len(part)))

    def _json(self, method: str, path: str, body: bytes) -> dict[str, object]:
        answer = self._wire.send(method, path, content=body, headers=JSON)
        return cast("dict[str, object]", answer.json())
