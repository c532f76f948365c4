"""The cluster's router beside what it could be: no router, HAProxy alone, one tier, the local router; with wrk."""

from __future__ import annotations

import hashlib
import random
import secrets
import shutil
import tempfile
import time
from pathlib import Path

from benchmarks.kit import Figures, Program, folder, median, ours, stopwatch
from benchmarks.router import KEY
from benchmarks.wrk import measure, note
from ferryml.domain.routes import EndpointRoute, Peer, RevisionRoute, RouterTable, Upstream, owner
from ferryml.router.haproxy.process import find_program
from ferryml.router.haproxy.router import HaproxyRouter, Places, free_port
from ferryml.router.haproxy.runtime import Master
from ferryml.settings import RouterSettings

A, B = "a" * 10, "b" * 10
PATH = "/api/v1/endpoint/bench/score"
MODEL = """frontend model
    bind 127.0.0.1:@PORT@
    http-request return status 200 content-type application/json string '{"predictions": [1]}'
"""
PLAIN = """frontend plain
    bind 127.0.0.1:@PORT@
    default_backend model
backend model
    server model 127.0.0.1:@MODEL@
"""
COMMON = """global
    nbthread {threads}
    maxconn 4000
defaults
    mode http
    timeout client 60s
    timeout server 60s
    timeout connect 2s
    option http-no-delay
"""


def run(quick: bool) -> Figures:
    """Each way at 1, 8 and 32 connections, in turns; medians of the rounds."""
    figures, rounds, seconds = Figures("haproxy"), 1 if quick else 3, 2 if quick else 5
    with folder() as base:
        model = _haproxy(base, "model", MODEL, 1)
        started = [model]
        try:
            port = model.port
            plain = _haproxy(base, "plain", PLAIN.replace("@MODEL@", str(port)), 2)
            started.append(plain)
            programs = {
                "two tiers": ours("haproxy", base / "two.log", "--route", _route(port)),
                "two tiers, labels kept": ours("haproxy", base / "kept.log", "--route", _route(port, capture=True)),
                "two tiers, half mirrored": ours("haproxy", base / "mirror.log", "--route", _route(port, mirror=50)),
                "one tier": ours("haproxy", base / "one.log", "--route", _route(port), "--tiers", "1"),
                "local router": ours("router", base / "local.log", "--route", _route(port)),
            }
            started += programs.values()
            urls = {"direct": f"http://127.0.0.1:{port}{PATH}", "plain HAProxy": f"http://127.0.0.1:{plain.port}{PATH}"}
            urls |= {name: program.ready() + PATH for name, program in programs.items()}
            for connections in (1, 8, 32):
                _compare(figures, base, urls, connections, rounds, seconds)
            for name, program in programs.items():
                figures.add(
                    f"{name}: CPU for a request, helpers included", _cpu(base, program, urls[name], seconds), "us"
                )
            for name in ("two tiers", "local router"):
                figures.add(f"{name}: resident, children included", programs[name].rss(), "MiB")
                before = programs[name].cpu_s()
                time.sleep(2)
                figures.add(f"{name}: CPU while idle", (programs[name].cpu_s() - before) / 2 * 1000, "millicores")
            _owners(figures, base, port, seconds)
        finally:
            for one in reversed(started):
                one.stop()
    _changes(figures, 20 if quick else 100)
    figures.notes.append(note(rounds, seconds))
    return figures


def _owners(figures: Figures, base: Path, port: int, seconds: int) -> None:
    """Two replicas: the one that owns the revision serves it, the other passes every request on to it."""
    home = Path(tempfile.mkdtemp(prefix="fb-"))
    peers = tuple(Peer(name=name, address=f"127.0.0.1:{free_port('127.0.0.1')}") for name in ("r1", "r2"))
    route = EndpointRoute.model_validate_json(_route(port)).model_copy(update={"weights": {A: 100}})
    started: list[HaproxyRouter] = []
    try:
        for peer in peers:
            places = Places(home / peer.name / "files", home / peer.name, peer.name, peer.address, "of-the-benchmark")
            made = HaproxyRouter(RouterSettings(), places, random.random, lambda: secrets.token_hex(8), lambda *_: None)
            made.start("127.0.0.1", 0)
            started.append(made)
            made.apply(route)
            made.join(peers)
        time.sleep(3)  # until each has found the other alive
        for peer, router in zip(peers, started, strict=True):
            mine = peer.name == owner(peers, route.uid, A)
            name = "two replicas, the owner asked" if mine else "two replicas, passed on to the owner"
            for connections in (1, 8, 32):
                rate, p50, p99 = measure(base, router.url + PATH, connections, seconds)
                of = f"{connections} connection{'s' * (connections > 1)}: {name}"
                figures.add(of, rate, "requests/s")
                figures.add(f"{of}, p50", p50, "ms")
                figures.add(f"{of}, p99", p99, "ms")
    finally:
        for router in started:
            router.stop(1)
        shutil.rmtree(home)


def _changes(figures: Figures, count: int) -> None:
    """From telling a table to every worker serving it."""
    base = Path(tempfile.mkdtemp(prefix="fb-"))
    router = HaproxyRouter(
        RouterSettings(), Places(base / "files", base), random.random, lambda: secrets.token_hex(8), lambda *_: None
    )
    try:
        router.start("127.0.0.1", 0)
        table = RouterTable(endpoints=tuple(_one_of_many(number) for number in range(60)))
        with stopwatch() as took:
            router.sidecar.apply(table)
        figures.add("60 endpoints of 10 deployments: served after", took[0] * 1000, "ms")
        weights: list[float] = []
        for number in range(count):
            changed = table.endpoints[0].model_copy(update={"weights": {A: number + 1, B: 1}})
            with stopwatch() as took:
                router.sidecar.apply(table.model_copy(update={"endpoints": (changed, *table.endpoints[1:])}))
            weights.append(took[0] * 1000)
        figures.spread("60 endpoints of 10 deployments: a weight changed", weights, "ms")
        resident = sum(_resident(worker.pid) for worker in Master(f"{base}/master.sock", f"{base}/files").workers())
        figures.add("60 endpoints of 10 deployments: HAProxy's memory", resident, "MiB")
        with stopwatch() as took:
            router.sidecar.loads()
        figures.add("60 endpoints of 10 deployments: one look at all loads", took[0] * 1000, "ms")
    finally:
        router.stop(1)
        shutil.rmtree(base)


def _resident(pid: int) -> float:
    """MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))


def _one_of_many(number: int) -> EndpointRoute:
    names = [letter * 10 for letter in "abcdefghij"]
    revisions = tuple(
        RevisionRoute(revision=name, deployment=f"dep-{name[0]}", upstreams=(Upstream(instance=0, port=9),))
        for name in names
    )
    return EndpointRoute(
        uid=f"endpoint.default.e{number}", name=f"e{number}", weights={A: 1},
        direct={f"dep-{name[0]}": name for name in names}, revisions=revisions,
    )  # fmt: skip


def _compare(figures: Figures, base: Path, urls: dict[str, str], connections: int, rounds: int, seconds: int) -> None:
    seen: dict[str, list[tuple[float, float, float]]] = {name: [] for name in urls}
    for number in range(rounds):
        for name in list(urls)[:: 1 if number % 2 else -1]:
            seen[name].append(measure(base, urls[name], connections, seconds))
    of = f"{connections} connection{'s' * (connections > 1)}"
    for name, some in seen.items():
        rate, p50, p99 = (median([one[part] for one in some]) for part in range(3))
        figures.add(f"{of}: {name}", rate, "requests/s")
        figures.add(f"{of}: {name}, p50", p50, "ms")
        figures.add(f"{of}: {name}, p99", p99, "ms")


def _cpu(base: Path, program: Program, url: str, seconds: int) -> float:
    """Hardly depends on what else the machine does."""
    before = program.cpu_s()
    rate, _, _ = measure(base, url, 16, seconds)
    return (program.cpu_s() - before) / (rate * seconds) * 1e6


class _Plain(Program):
    """A HAProxy with a configuration of the benchmark's own."""

    port = 0


def _haproxy(base: Path, name: str, sections: str, threads: int) -> _Plain:
    port = free_port("127.0.0.1")
    config = base / f"{name}.cfg"
    config.write_text(COMMON.format(threads=threads) + sections.replace("@PORT@", str(port)))
    program = _Plain([find_program(), "-f", str(config)], base / f"{name}.log", speaks=False)
    program.port = port
    time.sleep(0.5)
    return program


def _route(port: int, capture: bool = False, mirror: int = 0) -> str:
    revisions = tuple(
        RevisionRoute(
            revision=name, deployment=f"dep-{name[0]}", upstreams=(Upstream(instance=0, port=port),),
            max_concurrent_requests=64, capture=capture,
        )
        for name in (A, B)
    )  # fmt: skip
    return EndpointRoute(
        uid="endpoint.default.bench", name="bench", key_hashes=(hashlib.sha256(KEY.encode()).hexdigest(),),
        weights={A: 90, B: 10} if not mirror else {A: 100}, direct={"dep-a": A, "dep-b": B},
        mirror={B: mirror} if mirror else {}, revisions=revisions,
    ).model_dump_json()  # fmt: skip
