"""Artifacts up and down beside what disk and loopback can do by themselves, measured in turns on the same bytes."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from benchmarks import streams
from benchmarks.kit import MIB, Figures, Program, Server, a_server, checked, folder, median
from ferryml.sdk.client import Client
from ferryml.sdk.uploads import scan, upload


def run(quick: bool) -> Figures:
    """Medians over rounds of new random bytes; an upload is the SDK's own, hashing included."""
    size, rounds = (32 if quick else 128) * MIB, 1 if quick else 5
    figures, taken = Figures("artifacts"), {}
    with folder() as base, a_server(base) as server:
        bare = Program([sys.executable, "-m", "benchmarks.streams"], base / "bare.log")
        try:
            bench = Bench(base, server, bare.ready(), size)
            for _ in range(rounds):
                for name, took in bench.round().items():
                    taken.setdefault(name, []).append(size / MIB / took)
        finally:
            bare.stop()
    for name, rates in taken.items():
        figures.add(name, median(rates), "MiB/s")
    figures.add("upload over disk write", figures.value(UP) / figures.value(WRITE), "times")
    figures.add("download over bare HTTP", figures.value(DOWN) / figures.value(HTTP_DOWN), "times")
    figures.notes.append(f"{size // MIB} MiB of random bytes, {rounds} rounds; reads come from the page cache")
    return figures


UP, DOWN, HASH = "upload by the SDK", "download", "sha256 of the file"
WRITE, READ, SOCKET = "disk: write and fsync", "disk: read (cached)", "loopback: bare socket"
HTTP_UP, HTTP_DOWN = "loopback: bare HTTP server, up", "loopback: bare HTTP server, down"


class Bench:
    """One file of new bytes a round."""

    def __init__(self, base: Path, server: Server, bare: str, size: int) -> None:
        self._base, self._server, self._size = base, server, size
        self._bare = httpx.Client(base_url=bare, timeout=120, trust_env=False)
        self._client = Client(server.url, server.token, "default")

    def round(self) -> dict[str, float]:
        """What -> seconds."""
        data, file = os.urandom(self._size), self._base / "bytes"
        took = {WRITE: _timed(lambda: _write(file, data))}
        took[READ] = _timed(lambda: _read(file))
        took[HASH] = _timed(lambda: _hash(file))
        took[SOCKET] = _timed(lambda: streams.sink(data))
        took[HTTP_UP] = _timed(lambda: checked(self._bare.put("/", content=streams.pieces(data))))
        took[HTTP_DOWN] = _timed(lambda: _fetch(self._bare, f"/{self._size}"))
        took[UP] = _timed(lambda: self._client.run(upload("default", scan(file))))
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        path = f"/api/v1/workspaces/default/artifacts/blobs/{digest}"
        took[DOWN] = _timed(lambda: _fetch(self._server.api, path))
        return took


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _write(file: Path, data: bytes) -> None:
    with file.open("wb") as out:
        for piece in streams.pieces(data):
            out.write(piece)
        out.flush()
        os.fsync(out.fileno())


def _read(file: Path) -> None:
    with file.open("rb") as source:
        while source.read(streams.CHUNK):
            pass


def _hash(file: Path) -> None:
    with file.open("rb") as source:
        hashlib.file_digest(source, "sha256")


def _fetch(client: httpx.Client, path: str) -> None:
    with client.stream("GET", path) as answer:
        checked(answer)
        for _ in answer.iter_raw(1 << 20):
            pass
