"""Callers that never pause, from any network of this machine: wrk, which is quicker than what it measures."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.kit import percentile
from benchmarks.router import KEY, PAYLOAD, load

SCRIPT = """wrk.method = "POST"
wrk.body = '{payload}'
wrk.headers["content-type"] = "application/json"
wrk.headers["authorization"] = "Bearer {key}"
"""
Measured = tuple[float, float, float]
"""(requests/s, p50 ms, p99 ms)."""


def measure(base: Path, url: str, connections: int, seconds: int, key: str = KEY, namespace: str = "") -> Measured:
    """Raises RuntimeError when an answer was not 2xx.

    Args:
        base: a folder for its script.
        namespace: network namespace to call from; empty: this one.
    """
    wrk = shutil.which("wrk")
    if wrk is None:
        if namespace:
            raise RuntimeError("wrk is needed here: apt-get install wrk")
        began = time.perf_counter()
        took = asyncio.run(load(url, connections, 400 * seconds))
        return len(took) / (time.perf_counter() - began), percentile(took, 50), percentile(took, 99)
    script = base / "post.lua"
    script.write_text(SCRIPT.format(payload=PAYLOAD.decode(), key=key))
    command = [wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script), url]
    done = subprocess.run(
        [*inside(namespace), *command], capture_output=True, text=True, timeout=seconds + 60, check=False
    )
    said = done.stdout
    if done.returncode or "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(f"{urlsplit(url).netloc}: {said}{done.stderr}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    assert rate is not None
    return float(rate[1]), _quantile(said, "50%"), _quantile(said, "99%")


def inside(namespace: str) -> list[str]:
    """What starts a program in this network namespace; nothing for our own."""
    return ["nsenter", f"--net=/run/netns/{namespace}"] if namespace else []


def note(rounds: int, seconds: int) -> str:
    """What figures of it are worth."""
    tool = "wrk" if shutil.which("wrk") else "our own load generator, which is slower than what it measures"
    return f"{rounds} rounds of {seconds} s with {tool}; it, the router and the model share the CPUs"


def _quantile(said: str, rank: str) -> float:
    found = re.search(rf"{rank}\s+([\d.]+)(us|ms|s)\b", said)
    assert found is not None
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]]
