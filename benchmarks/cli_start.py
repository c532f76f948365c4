"""How long a person waits for the command line itself, beside Python's own start; and what loading a server costs."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.kit import ROOT, Figures, a_server, as_installed, folder, median

IMPORT = "import ferryml.bootstrap.server"
LOAD = "from ferryml.cli.programs import program; program('ferryml.bootstrap.server')"


def run(quick: bool) -> Figures:
    """In turns, so that a busy moment of the machine hits all alike."""
    figures, rounds = Figures("cli_start"), 5 if quick else 25
    with folder() as base, a_server(base) as server:
        env = {**as_installed(), "FERRY_URL": server.url, "FERRY_TOKEN": server.token, "HOME": str(base)}
        ferry = str(Path(sys.executable).parent / "ferry")
        words = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "ferry --help": [ferry, "--help"],
            "ferry job --help": [ferry, "job", "--help"],
            "ferry job list": [ferry, "job", "list"],
            "import of the server": [sys.executable, "-c", IMPORT],
            "the same by ferry server": [sys.executable, "-c", LOAD],
        }  # fmt: skip
        taken: dict[str, list[float]] = {name: [] for name in words}
        used: dict[str, list[float]] = {name: [] for name in words}
        for number in range(rounds + 1):
            for name, argv in words.items():
                took, cpu = _timed(argv, env)
                if number:
                    taken[name].append(took)
                    used[name].append(cpu)
    for name, values in taken.items():
        figures.add(f"{name}, median", median(values), "ms")
        figures.add(f"{name}, least", min(values), "ms")
        figures.add(f"{name}, CPU, median", median(used[name]), "ms")
    figures.notes.append(
        f"{rounds} rounds after one that warms the caches; compiled modules kept, as in an installation"
    )
    return figures


def _timed(argv: list[str], env: dict[str, str]) -> tuple[float, float]:
    """Milliseconds by the clock, and of CPU, which a busy machine stretches less."""
    began, before = time.perf_counter(), _cpu_s()
    subprocess.run(argv, cwd=ROOT, env=env, check=True, stdout=subprocess.DEVNULL, timeout=60)
    return (time.perf_counter() - began) * 1000, (_cpu_s() - before) * 1000


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
