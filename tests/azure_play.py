"""A Blob service in one process, as far as its published protocol is used here; it checks signatures by itself.

The rules are those of learn.microsoft.com/rest/api/storageservices; that they are read rightly is shown by a foreign
client (obstore's), which works with it unchanged.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

ACCOUNT, KEY = "ferrystore", b"0123456789abcdef" * 4
TOKEN, SAS = "token-of-entra", "sv=2020-10-02&sp=rwl&sig=a%2Bb%3D"
PAGE = 3
STANDARD = "Content-Encoding Content-Language Content-Length Content-MD5 Content-Type Date If-Modified-Since If-Match"
STANDARD += " If-None-Match If-Unmodified-Since Range"


class BlobService:
    """`blobs` are those of the one container `c`; with `folders` it behaves like an account with a hierarchy."""

    def __init__(self, folders: bool = False) -> None:
        self.blobs: dict[str, bytes] = {}
        self.folders, self.fail = folders, 0
        self.seen: list[tuple[str, str]] = []
        self.staged: dict[str, bytes] = {}
        service = self

        class Handler(_Handler):
            it = service

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}/{ACCOUNT}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


class _Handler(BaseHTTPRequestHandler):
    it: BlobService
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        query = self._begin()
        if query is None:
            return
        if query.get("comp") == "list":
            self._list(query)
            return
        name = self._blob()
        if name not in self.it.blobs:
            self._answer(404, _error("BlobNotFound"))
            return
        data = self.it.blobs[name]
        tag = f'"{hashlib.md5(data).hexdigest()}"'
        if self.headers.get("If-Match", tag) != tag:
            self._answer(412, _error("ConditionNotMet"))
            return
        span = self.headers.get("x-ms-range") or self.headers.get("Range")
        known = {"ETag": tag, "x-ms-blob-type": "BlockBlob", "Last-Modified": "Fri, 02 Jan 2026 00:00:00 GMT"}
        if not span:
            self._answer(200, data, **known)
            return
        first, _, last = span.removeprefix("bytes=").partition("-")
        part = data[int(first) : int(last) + 1 if last else None]
        known["Content-Range"] = f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}"
        self._answer(206, part, **known)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = self._begin()
        if query is None:
            return
        kind = query.get("comp")
        if kind == "block":
            self.it.staged[query["blockid"]] = body
        elif kind == "blocklist":
            names = [each.text or "" for each in ElementTree.fromstring(body)]
            if len({len(name) for name in names}) > 1:
                self._answer(400, _error("InvalidBlockId"))
                return
            self.it.blobs[self._blob()] = b"".join(self.it.staged[name] for name in names)
        elif self.headers.get("x-ms-blob-type") == "BlockBlob":
            self.it.blobs[self._blob()] = body
        else:
            self._answer(400, _error("MissingRequiredHeader"))
            return
        self._answer(201, b"", ETag='"1"', **{"Last-Modified": "Fri, 02 Jan 2026 00:00:00 GMT"})

    def _begin(self) -> dict[str, str] | None:
        """The query, if the caller may ask."""
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        self.it.seen.append((self.command, parts.path))
        if self.it.fail:
            self.it.fail -= 1
            self._answer(503, _error("ServerBusy"))
        elif SAS in parts.query or self.headers.get("Authorization") in (
            f"Bearer {TOKEN}", f"SharedKey {ACCOUNT}:{self._sign(parts.path, query)}",
        ):  # fmt: skip
            return query
        else:
            self._answer(403, _error("AuthenticationFailed"))
        return None

    def _sign(self, path: str, query: dict[str, str]) -> str:
        """ "Authorize with Shared Key", the form of 2009-09-19 and later; an empty body has no length since 2015."""
        said = [self.headers.get(name, "") for name in STANDARD.split()]
        if said[2] == "0":
            said[2] = ""
        known = {name.lower(): " ".join(value.split()) for name, value in self.headers.items()}
        own = "".join(f"{name}:{value}\n" for name, value in sorted(known.items()) if name.startswith("x-ms-"))
        resource = f"/{ACCOUNT}{path}" + "".join(f"\n{name.lower()}:{query[name]}" for name in sorted(query))
        text = self.command + "\n" + "".join(f"{value}\n" for value in said) + own + resource
        return base64.b64encode(hmac.new(KEY, text.encode(), hashlib.sha256).digest()).decode()

    def _blob(self) -> str:
        """Below /ACCOUNT/c/."""
        return unquote(urlsplit(self.path).path).split("/", 3)[3]

    def _list(self, query: dict[str, str]) -> None:
        prefix = query.get("prefix", "")
        if urlsplit(self.path).path != f"/{ACCOUNT}/c":
            self._answer(404, _error("ContainerNotFound"))
            return
        if self.it.folders and any(prefix.startswith(f"{name}/") for name in self.it.blobs):
            self._answer(400, _error("InvalidUri"))
            return
        items = {name: (len(data), False) for name, data in self.it.blobs.items()}
        if self.it.folders:
            for name in self.it.blobs:
                for depth in range(1, name.count("/") + 1):
                    items["/".join(name.split("/")[:depth])] = (0, True)
        names = sorted(name for name in items if name.startswith(prefix))
        start = int(query.get("marker") or 0)
        page, rest = names[start : start + PAGE], names[start + PAGE :]
        body = "".join(_item(name, *items[name], folders=self.it.folders) for name in page)
        marker = f"<NextMarker>{start + PAGE}</NextMarker>" if rest else "<NextMarker />"
        text = f'<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="c"><Blobs>{body}</Blobs>'
        self._answer(200, b"\xef\xbb\xbf" + f"{text}{marker}</EnumerationResults>".encode())

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _item(name: str, size: int, folder: bool, folders: bool) -> str:
    kind = f"<ResourceType>{'directory' if folder else 'file'}</ResourceType>" if folders else ""
    known = f"<Content-Length>{size}</Content-Length><Content-Type>x/y</Content-Type>"
    known += "<Last-Modified>Fri, 02 Jan 2026 00:00:00 GMT</Last-Modified>"
    metadata = "<Metadata><hdi_isfolder>true</hdi_isfolder></Metadata>" if folder else "<Metadata />"
    properties = f"<Properties>{known}<Etag>0x8D</Etag>{kind}</Properties>"
    return f"<Blob><Name>{escape(name)}</Name>{properties}{metadata}</Blob>"


def _error(code: str) -> bytes:
    return f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>no</Message></Error>'.encode()
