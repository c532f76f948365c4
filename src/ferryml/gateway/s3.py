"""S3 in as many words as a gateway needs: list, read from an offset, write; signed by hand (Signature Version 4)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx

from ferryml.domain.errors import Refused, Unavailable
from ferryml.gateway.objects import MOST_ENTRIES, TRIES, Entry, Reply, listed, refuse, slice_of, whole, xml
from ferryml.gateway.upstream import Upstream

UNSIGNED = "UNSIGNED-PAYLOAD"
EMPTY = hashlib.sha256(b"").hexdigest()
WHOLE_UP_TO = 1 << 30
"""Bytes above which a file is sent in parts."""
PART = 64 << 20
MOST_PARTS = 9_000


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket and who we are there."""

    url: str
    """Of the service, no trailing slash; `""` for Amazon's own."""
    name: str
    region: str = ""
    access_key: str = ""
    """Empty: nothing is signed."""
    secret_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    bearer: Callable[[], str] | None = field(default=None, repr=False)
    """Gives an OAuth token, for services that take one in place of signatures."""

    @property
    def base(self) -> str:
        """Path-style address, which every S3 understands."""
        return f"{self.url or f'https://s3.{self._place}.amazonaws.com'}/{self.name}"

    @property
    def _place(self) -> str:
        return self.region or "us-east-1"


class S3:
    """
    Args:
        now: the clock; signatures hold for some minutes.
    """

    def __init__(self, upstream: Upstream, now: Callable[[], datetime]) -> None:
        self._upstream, self._now = upstream, now

    def list(self, bucket: Bucket, prefix: str) -> list[Entry]:
        """Everything below `prefix` (a folder), or the object of that name itself.

        Raises Refused(LimitExceeded), NotFound when there is nothing, Unavailable.
        """
        return listed(lambda text: self._pages(bucket, text), prefix, f"bucket {bucket.name}")

    def read(self, bucket: Bucket, key: str, headers: Mapping[str, str]) -> httpx.Response:
        """The object with its body still to be read; the caller closes it. `headers` may hold Range and If-Match."""
        response = self._send(bucket, "GET", key, headers=headers)
        if response.status_code not in (200, 206):
            refuse(f"bucket {bucket.name}", whole(response), key)
        return response

    def write(self, bucket: Bucket, key: str, file: Path, whole_up_to: int = WHOLE_UP_TO, part: int = PART) -> None:
        """Puts a file of any size; large ones in parts."""
        size = file.stat().st_size
        if size <= whole_up_to:
            self._checked(bucket, "PUT", key, content=partial(slice_of, file, 0, size), size=size)
            return
        part = max(part, -(-size // MOST_PARTS))
        upload = _text(self._checked(bucket, "POST", key, query={"uploads": ""}), "UploadId")
        try:
            tags = []
            for number, offset in enumerate(range(0, size, part), 1):
                length = min(part, size - offset)
                query = {"partNumber": str(number), "uploadId": upload}
                answer = self._checked(bucket, "PUT", key, query, partial(slice_of, file, offset, length), length)
                tags.append((number, answer.tag))
            body = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{tag}</ETag></Part>" for n, tag in tags)
            data = f"<CompleteMultipartUpload>{body}</CompleteMultipartUpload>".encode()
            self._checked(bucket, "POST", key, {"uploadId": upload}, lambda: iter([data]), len(data))
        except BaseException:
            self._send(bucket, "DELETE", key, {"uploadId": upload}).close()
            raise

    def _pages(self, bucket: Bucket, prefix: str) -> Iterator[Entry]:
        token, count = "", 0
        while True:
            query = {"list-type": "2", "prefix": prefix, "max-keys": "1000"}
            page = xml(self._checked(bucket, "GET", "", {**query, **({"continuation-token": token} if token else {})}))
            for item in page.iter("Contents"):
                count += 1
                if count > MOST_ENTRIES:
                    raise Refused("LimitExceeded", f"more than {MOST_ENTRIES} objects are below {prefix!r}")
                yield Entry(item.findtext("Key") or "", int(item.findtext("Size") or 0))
            token = page.findtext("NextContinuationToken") or ""
            if page.findtext("IsTruncated") != "true" or not token:
                return

    def _checked(
        self, bucket: Bucket, method: str, key: str, query: Mapping[str, str] | None = None,
        content: Callable[[], Iterator[bytes]] | None = None, size: int = 0,
    ) -> Reply:  # fmt: skip
        """The whole answer of a call that succeeded; what is a matter of time is tried again."""
        attempt = 0
        while True:
            attempt += 1
            reply = whole(self._send(bucket, method, key, query, content() if content else None, size))
            # A completed upload may still be refused in the body of a 200.
            if reply.status < 300 and b"<Error>" not in reply.body[:300]:
                return reply
            if 300 <= reply.status < 500 or attempt == TRIES:
                refuse(f"bucket {bucket.name}", reply, key)

    def _send(
        self, bucket: Bucket, method: str, key: str, query: Mapping[str, str] | None = None,
        content: Iterator[bytes] | None = None, size: int = 0, headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:  # fmt: skip
        url = f"{bucket.base}/{quote(key, safe='/-_.~')}" if key else bucket.base
        asked = "&".join(f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}" for k, v in sorted((query or {}).items()))
        payload = UNSIGNED if content is not None else EMPTY
        signed = signature(bucket, method, url, asked, payload, self._now())
        length = {"Content-Length": str(size)} if content is not None else {}
        return self._upstream.call(
            method, f"{url}?{asked}" if asked else url, {**(headers or {}), **length, **signed}, content
        )


def signature(bucket: Bucket, method: str, url: str, query: str, payload: str, now: datetime) -> dict[str, str]:
    """Headers that sign a request (docs.aws.amazon.com, Signature Version 4); none without an access key."""
    host, path = urlsplit(url).netloc, urlsplit(url).path
    if bucket.bearer is not None:
        return {"Authorization": f"Bearer {bucket.bearer()}"}
    if not bucket.access_key:
        return {}
    stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
    known = {"host": host, "x-amz-content-sha256": payload, "x-amz-date": stamp}
    if bucket.session_token:
        known["x-amz-security-token"] = bucket.session_token
    names = ";".join(sorted(known))
    lines = "".join(f"{name}:{known[name]}\n" for name in sorted(known))
    canonical = "\n".join([method, path or "/", query, lines, names, payload])
    scope = f"{day}/{bucket.region or 'us-east-1'}/s3/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{bucket.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    sign = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    credential = f"AWS4-HMAC-SHA256 Credential={bucket.access_key}/{scope}, SignedHeaders={names}, Signature={sign}"
    return {**{name: value for name, value in known.items() if name != "host"}, "Authorization": credential}


def _text(reply: Reply, name: str) -> str:
    found = xml(reply).findtext(name)
    if not found:
        raise Unavailable("Unavailable", f"the bucket named no {name}")
    return found
