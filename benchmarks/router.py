"""What the local router adds to a prediction: the same requests to the model server directly and through the router."""

from __future__ import annotations

import asyncio
import hashlib
import sys
import time
from urllib.parse import urlsplit

from benchmarks.kit import Figures, Program, folder, median, ours, percentile
from ferryml.domain.routes import EndpointRoute, RevisionRoute, Upstream

KEY = "benchmark-key"
PAYLOAD = b'{"data": [[0.5, 1.5, 2.5, 3.5]]}'


def run(quick: bool) -> Figures:
    """In turns; each round compares its own pair of percentiles, and the medians of the differences are told."""
    figures, rounds, count = Figures("router"), 2 if quick else 8, 500 if quick else 2000
    with folder() as base:
        model = Program([sys.executable, "-m", "benchmarks.model_server"], base / "model.log")
        try:
            direct = model.ready()
            router = ours("router", base / "router.log", "--route", _route(urlsplit(direct).port or 0))
            try:
                urls = {"direct": f"{direct}/score", "router": f"{router.ready()}/api/v1/endpoint/bench/score"}
                for connections in (1, 8):
                    _compare(figures, urls, connections, rounds, count)
            finally:
                router.stop()
        finally:
            model.stop()
    figures.notes.append(
        f"{rounds} rounds of {count} requests on kept connections; client, router and model share the CPUs"
    )
    return figures


def _compare(figures: Figures, urls: dict[str, str], connections: int, rounds: int, count: int) -> None:
    samples: dict[str, list[list[float]]] = {name: [] for name in urls}
    rates: dict[str, list[float]] = {name: [] for name in urls}
    for number in range(rounds + 1):
        for name in list(urls)[:: 1 if number % 2 else -1]:
            began = time.perf_counter()
            took = asyncio.run(load(urls[name], connections, count))
            if number:
                samples[name].append(took)
                rates[name].append(count / (time.perf_counter() - began))
    of = f"{connections} connection{'s' * (connections > 1)}"
    for rank in (50, 99):
        at = {name: [percentile(took, rank) for took in some] for name, some in samples.items()}
        for name, values in at.items():
            figures.add(f"{of}: {name}, p{rank}", median(values), "ms")
        added = [through - alone for through, alone in zip(at["router"], at["direct"], strict=True)]
        figures.add(f"{of}: added by the router, p{rank}", median(added), "ms")
    for name, values in rates.items():
        figures.add(f"{of}: {name}", median(values), "requests/s")


async def load(url: str, connections: int, count: int) -> list[float]:
    """Milliseconds of each request."""
    took: list[float] = []
    await asyncio.gather(*(_one(url, count // connections, took) for _ in range(connections)))
    return took


async def _one(url: str, count: int, took: list[float]) -> None:
    place = urlsplit(url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    lines = [
        f"POST {place.path} HTTP/1.1", f"host: {place.netloc}", f"authorization: Bearer {KEY}",
        "content-type: application/json", f"content-length: {len(PAYLOAD)}", "", "",
    ]  # fmt: skip
    request = "\r\n".join(lines).encode() + PAYLOAD
    for _ in range(count):
        began = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(head.decode(errors="replace"))
        fields = (line.split(b":") for line in head.lower().split(b"\r\n")[1:] if line.startswith(b"content-length"))
        await reader.readexactly(int(next(fields)[1]))
        took.append((time.perf_counter() - began) * 1000)
    writer.close()
    await writer.wait_closed()


def _route(port: int) -> str:
    revision = RevisionRoute(
        revision="aaaaaaaaaa", deployment="blue", upstreams=(Upstream(instance=0, port=port),),
        max_concurrent_requests=64,
    )  # fmt: skip
    return EndpointRoute(
        uid="endpoint.default.bench", name="bench", key_hashes=(hashlib.sha256(KEY.encode()).hexdigest(),),
        weights={"aaaaaaaaaa": 100}, direct={"blue": "aaaaaaaaaa"}, revisions=(revision,),
    ).model_dump_json()  # fmt: skip
