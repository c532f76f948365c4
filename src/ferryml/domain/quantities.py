"""Kubernetes quantities: `500m`, `2Gi`, `1e3`; as numbers to compare, and back as words for people."""

from __future__ import annotations

import re
from typing import Any

_SHAPE = re.compile(r"^\s*([+-]?(?:\d+(?:\.\d*)?|\.\d+))(?:[eE]([+-]?\d+))?\s*([numkKMGTPE]i?|)\s*$")
_UNITS = {
    "": 1.0, "n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18,
    "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40, "Pi": 2.0**50, "Ei": 2.0**60,
}  # fmt: skip


def amount(quantity: Any) -> float:
    """In base units: cores, bytes, pieces. None is 0. Raises ValueError for what is no quantity."""
    if quantity is None:
        return 0.0
    if isinstance(quantity, int | float):
        return float(quantity)
    found = _SHAPE.match(str(quantity))
    unit = _UNITS.get(found[3]) if found else None
    if found is None or unit is None:
        raise ValueError(f"{quantity!r} is not a Kubernetes quantity")
    return float(found[1]) * 10.0 ** int(found[2] or 0) * unit


def millis(quantity: Any) -> int:
    """CPU in thousandths of a core, rounded up as Kubernetes does."""
    return -int(-amount(quantity) * 1000 // 1)


def whole(quantity: Any) -> int:
    """Bytes or pieces, rounded up."""
    return -int(-amount(quantity) // 1)


def cpu_words(thousandths: float) -> str:
    """`250m`, `2`, `1.5`: cores as people write them."""
    return f"{thousandths / 1000:g}" if thousandths >= 1000 or thousandths == 0 else f"{thousandths:g}m"


def size_words(size: float) -> str:
    """`512 MiB`, `2 GiB`: bytes for people."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(size) < 1024 or unit == "TiB":
            return f"{size:.3g} {unit}" if abs(size) < 999.5 else f"{size:.0f} {unit}"
        size /= 1024
    raise AssertionError  # pragma: no cover - every unit is handled above


def resource_words(resource: str, quantity: float) -> str:
    """An amount of any resource in base units: `2 CPUs`, `4 GiB`, `1`."""
    if resource == "cpu":
        return cpu_words(round(quantity * 1000, 3))
    if resource in ("memory", "ephemeral-storage") or resource.startswith("hugepages-"):
        return size_words(quantity)
    return f"{quantity:g}"
