"""Environments on a cluster: what the first start costs, and every later one, also where it is 2 GB."""

from __future__ import annotations

import base64
import hashlib
import os
import time
import zipfile
from pathlib import Path
from typing import Any

from benchmarks.cluster_kit import IMAGE, LIMIT_S, running_at, tests
from benchmarks.kit import MIB, Figures

PARTS = 8
BIG_MIB = 2048


def make_wheels(folder: Path, quick: bool) -> None:
    """Packages of random bytes, which compress to nothing less: 2 GiB in all, a fraction of it when `quick`."""
    folder.mkdir()
    for part in range(PARTS):
        _wheel(folder, f"bulk{part}", (BIG_MIB // 32 if quick else BIG_MIB) // PARTS * MIB)


def serve_wheels(world: Any, folder: Path) -> None:
    """The world's package index serves them beside its own; before a site is installed."""
    index = tests("package_index")
    for wheel in index.wheelhouse().glob("*.whl"):
        (folder / wheel.name).symlink_to(wheel)
    world.index.close()
    world.index = index.Index(folder)


def starts(figures: Figures, world: Any, quick: bool) -> None:
    """Submit to Running, each twice: scikit-learn with MLflow, and the big one."""
    size = (BIG_MIB // 32 if quick else BIG_MIB) / 1024
    packages = {
        "environment of scikit-learn": ["scikit-learn", "numpy", "mlflow-skinny"],
        f"environment of {size:.3g} GiB": [f"bulk{part}" for part in range(PARTS)],
    }
    for what, names in packages.items():
        spec = {"name": "made", "image": IMAGE, "conda_file": {"dependencies": ["python>=3.11", {"pip": names}]}}
        for turn in ("first", "second"):
            job = f"{names[0]}-{turn}"
            began = time.perf_counter()
            world.submit(job, f"python -c 'import {_module(names[0])}'", "bench", environment=spec)
            figures.add(f"{what}, {turn} start", running_at(world, job) - began, "s")
            world.completes(job, within_s=LIMIT_S * 2)


def _module(package: str) -> str:
    return "sklearn" if package == "scikit-learn" else package


def _wheel(folder: Path, name: str, size: int) -> None:
    data = os.urandom(size)
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}/__init__.py": b"",
        f"{name}/data.bin": data,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: ferry\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = [f"{path},sha256={_digest(body)},{len(body)}" for path, body in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*lines, f"{info}/RECORD,,", ""]).encode()
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w", zipfile.ZIP_STORED) as wheel:
        for path, body in files.items():
            wheel.writestr(path, body)


def _digest(body: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(body).digest()).decode().rstrip("=")
