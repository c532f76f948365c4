"""A client inside a node's network: `python -m benchmarks.cluster_fetch down|up URL SIZE`, token on standard input.

Prints the seconds that the bytes took; reads and writes as the runner in a pod does, with the standard library alone.
"""

from __future__ import annotations

import hashlib
import http.client
import os
import ssl
import sys
import time
import urllib.parse
from collections.abc import Iterator

CHUNK = 1 << 20


def main(way: str, url: str, size: str, token: str) -> int:
    """0 when everything came."""
    parts, count = urllib.parse.urlsplit(url), int(size)
    context = ssl._create_unverified_context()  # the address is not a name of the certificate; bytes are what counts
    if parts.scheme == "https":
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(parts.netloc, timeout=120, context=context)
    else:
        connection = http.client.HTTPConnection(parts.netloc, timeout=120)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    data = os.urandom(count) if way == "up" else b""
    path = parts.path if way == "down" else f"{parts.path}/sha256:{hashlib.sha256(data).hexdigest()}"
    connection.connect()
    began = time.perf_counter()
    if way == "up":
        connection.request("PUT", path, body=_pieces(data), headers=headers | {"Content-Length": str(count)})
    else:
        connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    heard = 0
    while piece := answer.read(CHUNK):
        heard += len(piece)
    took = time.perf_counter() - began
    if answer.status != 200 or (way == "down" and heard != count):
        print(f"{way} {path}: {answer.status}, {heard} of {count} bytes", file=sys.stderr)
        return 1
    print(took)
    return 0


def _pieces(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), CHUNK):
        yield data[start : start + CHUNK]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4], sys.stdin.readline().strip()))
