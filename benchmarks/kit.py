"""What every benchmark needs: programs with an end, a REST client, percentiles, and figures that carry their units."""

from __future__ import annotations

import json
import math
import os
import select
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
MIB = 1024**2
START_S = 60.0
T = TypeVar("T")


@dataclass
class Figures:
    """The figures of one topic: shown as a table, kept in results/ as TOPIC.json and, for the docs, as TOPIC.md."""

    topic: str
    rows: list[tuple[str, float, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    """What should have been measured and was not, and why."""

    def add(self, name: str, value: float, unit: str) -> None:
        """One figure; say the unit, always."""
        self.rows.append((name, value, unit))

    def spread(self, name: str, values: Sequence[float], unit: str) -> None:
        """Median, p99 and count of a sample."""
        self.add(f"{name}, p50", percentile(values, 50), unit)
        self.add(f"{name}, p99", percentile(values, 99), unit)

    def value(self, name: str) -> float:
        """A figure that was added."""
        return next(value for key, value, _ in self.rows if key == name)

    def tell(self) -> None:
        """Print the table and write both files."""
        RESULTS.mkdir(exist_ok=True)
        load = os.getloadavg()[0]
        said = {name: {"value": value, "unit": unit} for name, value, unit in self.rows}
        gone = [f"not measured: {what}" for what in self.missing]
        document = {
            "topic": self.topic,
            "figures": said,
            "notes": [*self.notes, *gone],
            "load_1m": load,
            "cpus": os.cpu_count(),
        }
        (RESULTS / f"{self.topic}.json").write_text(json.dumps(document, indent=1) + "\n")
        (RESULTS / f"{self.topic}.md").write_text(page(self.topic, load, self.rows, [*self.notes, *gone]))
        print(table(self.topic, self.rows))
        for note in (*self.notes, *gone):
            print(f"  {note}")
        print(f"  (load average of the machine: {load:.1f} on {os.cpu_count()} CPUs)\n", flush=True)


def table(title: str, rows: Sequence[tuple[str, float, str]]) -> str:
    """Aligned text: name, value, unit."""
    width = max((len(name) for name, _, _ in rows), default=0)
    return "\n".join([title, *(f"  {name:<{width}}  {shown(value):>10}  {unit}" for name, value, unit in rows)])


def page(topic: str, load: float, rows: Sequence[tuple[str, float, str]], notes: Sequence[str]) -> str:
    """The same as a chapter of docs/benchmarks.md."""
    lines = [f"| {name.replace('|', '/')} | {shown(value)} {unit} |" for name, value, unit in rows]
    said = "".join(f" {note[:1].upper()}{note[1:]}." for note in notes)
    head = f"## {topic}\n\n`{topic}`, load {load:.0f}.{said}\n\n| | |\n|---|---|\n"
    return head + "\n".join(lines) + "\n"


def shown(value: float) -> str:
    """Three digits that matter."""
    if value == 0 or not math.isfinite(value):
        return str(value)
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"


def measured(figures: Figures, name: str, part: Callable[[], None]) -> None:
    """One part, told at once; what cannot be measured does not take the others with it."""
    began, before = time.monotonic(), len(figures.rows)
    try:
        part()
    except (RuntimeError, OSError, TimeoutError, AssertionError, ValueError) as error:
        traceback.print_exc()
        figures.missing.append(f"{name}: {str(error).splitlines()[0][:200] if str(error) else type(error).__name__}")
    print(table(f"{name}, {time.monotonic() - began:.0f} s", figures.rows[before:]), file=sys.stderr, flush=True)


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that `percent` of the sample do not exceed (nearest rank)."""
    if not values:
        raise ValueError("an empty sample has no percentiles")
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


median = statistics.median


class Program:
    """A child process of ours, known by its pid and ended by it; without `speaks` no `ready` line comes."""

    def __init__(self, argv: Sequence[str], log: Path, env: dict[str, str] | None = None, speaks: bool = True) -> None:
        self.log = log
        self._said = log.open("wb")
        self.process = subprocess.Popen(
            argv,
            cwd=ROOT,
            stdout=subprocess.PIPE if speaks else self._said,
            stderr=self._said,
            env={**as_installed(), **(env or {})},
        )
        self.ps = psutil.Process(self.process.pid)

    def ready(self) -> str:
        """The address it prints; raises RuntimeError with the end of its log when it does not come."""
        assert self.process.stdout is not None
        heard, _, _ = select.select([self.process.stdout], [], [], START_S)
        line = self.process.stdout.readline().decode() if heard else ""
        if not line.startswith("ready "):
            self.stop()
            raise RuntimeError(f"{self.process.args} did not start:\n{self.log.read_text()[-2000:]}")
        return line.split()[1]

    def family(self) -> list[psutil.Process]:
        """The process and its children."""
        return [self.ps, *self.ps.children(recursive=True)]

    def rss(self) -> float:
        """MiB resident, children included."""
        return sum(_of(one, lambda p: p.memory_info().rss) for one in self.family()) / MIB

    def cpu_s(self) -> float:
        """CPU seconds used so far, children included."""
        return sum(_of(one, lambda p: sum(p.cpu_times()[:2])) for one in self.family())

    def stop(self) -> None:
        """SIGTERM, then SIGKILL; by pid."""
        children = self.ps.children(recursive=True) if self.process.poll() is None else []
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)
        for child in children:
            if child.is_running():
                child.kill()
        self._said.close()


def as_installed() -> dict[str, str]:
    """The environment of children: compiled modules are kept, as in an installation, but not in the checkout."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(ROOT / ".cache" / "pycache")}


def _of(process: psutil.Process, what: Callable[[psutil.Process], float]) -> float:
    try:
        return what(process)
    except psutil.NoSuchProcess:
        return 0.0


@dataclass
class Server:
    """A running server with an owner's client on its default workspace."""

    program: Program
    url: str
    state: Path
    api: httpx.Client

    @property
    def token(self) -> str:
        return (self.state / "admin.token").read_text().strip()

    def call(self, method: str, path: str, **more: Any) -> Any:
        """JSON of a call below /api/v1; raises on errors. `W/` stands for the default workspace."""
        full = "/api/v1/" + path.replace("W/", "workspaces/default/")
        return checked(self.api.request(method, full, **more)).json()

    def site(self, name: str) -> str:
        """A new site with a compute of the same name; returns the join token."""
        joined = self.call("POST", "sites", json={"name": name, "zone": name})
        self.call("POST", "W/computes", json={"type": "local", "name": name, "site": name})
        return str(joined["join_token"])

    def submit(self, compute: str, command: str = "true") -> str:
        """A job in an environment without packages; returns its name."""
        spec = {"command": command, "environment": {"image": "python:3"}, "compute": f"azureml:{compute}"}
        return str(self.call("POST", "W/jobs", json=spec)["name"])

    def ended(self, name: str, limit_s: float = 120) -> dict[str, Any]:
        """The job once it is over; raises RuntimeError unless it Completed."""
        job = until(lambda: self._over(name), limit_s, 0.02)
        if job["status"] != "Completed":
            raise RuntimeError(f"job {name}: {job['status']}: {job['ferry']['reason']}")
        return job

    def log(self, name: str) -> str:
        """The job's own output."""
        path = f"/api/v1/workspaces/default/jobs/{name}/logs/content"
        return checked(self.api.get(path, params={"path": "user_logs/std_log.txt"})).text

    def _over(self, name: str) -> dict[str, Any] | None:
        job: dict[str, Any] = self.call("GET", f"W/jobs/{name}")
        return job if job["status"] in ("Completed", "Failed", "Canceled") else None


def checked(response: httpx.Response) -> httpx.Response:
    """The answer, if it is a good one."""
    if response.is_error:
        raise RuntimeError(f"{response.request.method} {response.request.url}: {response.status_code} {response.text}")
    return response


def ours(program: str, log: Path, *arguments: str) -> Program:
    """One of ours: server, site or router (`benchmarks.run_*`)."""
    return Program([sys.executable, "-m", f"benchmarks.run_{program}", *arguments], log)


@contextmanager
def folder() -> Iterator[Path]:
    """An empty folder on the disk of the checkout (not in memory), removed afterwards."""
    (ROOT / ".cache").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=ROOT / ".cache", ignore_cleanup_errors=True) as made:
        yield Path(made)


@contextmanager
def a_server(base: Path, *arguments: str) -> Iterator[Server]:
    """A server on `base`/server, stopped at the end."""
    state = base / "server"
    program = ours("server", base / "server.log", "--state", str(state), *arguments)
    try:
        url = program.ready()
        until(lambda: _answers(url), START_S, 0.02)
        headers = {"Authorization": f"Bearer {(state / 'admin.token').read_text().strip()}"}
        with httpx.Client(base_url=url, headers=headers, timeout=60, trust_env=False) as api:
            yield Server(program, url, state, api)
    finally:
        program.stop()


@contextmanager
def a_site(base: Path, server: Server, name: str = "local") -> Iterator[Program]:
    """A local site that has joined, ready for work."""
    arguments = ("--state", str(base / name), "--server", server.url, "--token", server.site(name))
    program = ours("site", base / f"{name}.log", *arguments)
    try:
        program.ready()
        yield program
    finally:
        program.stop()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=5, trust_env=False).is_success
    except httpx.TransportError:
        return False


def until(look: Callable[[], T | None], limit_s: float, every_s: float = 0.05) -> T:
    """What `look` finds, once it finds something; raises TimeoutError."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if found := look():
            return found
        time.sleep(every_s)
    raise TimeoutError(f"nothing within {limit_s:.0f} s")


@contextmanager
def stopwatch() -> Iterator[list[float]]:
    """Appends the seconds that the block took."""
    took: list[float] = []
    began = time.perf_counter()
    yield took
    took.append(time.perf_counter() - began)
