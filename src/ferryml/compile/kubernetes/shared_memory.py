"""A job's shm_size is written as for Docker; Kubernetes wants a quantity."""

from __future__ import annotations

import re

from ferryml.domain.errors import Refused

_UNITS = {"": "", "b": "", "k": "Ki", "m": "Mi", "g": "Gi"}


def shared_memory(text: str) -> str:
    """`2g` as `2Gi`. Raises Refused `BadValue`."""
    found = re.fullmatch(r"(\d+)([bkmg]?)", text.strip().lower())
    if found is None:
        raise Refused("BadValue", f"shm_size {text!r} is not understood", "Write a number and b, k, m or g: 2g.")
    return f"{int(found[1])}{_UNITS[found[2]]}"
