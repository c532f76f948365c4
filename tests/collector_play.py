"""What scoring scripts collect, without a cluster: a revision as its door knows it, and who takes batches."""

from __future__ import annotations

from typing import Any

TOLD: dict[str, Any] = {
    "uid": "endpoint.w.e", "endpoint": "e", "deployment": "blue", "revision": "r" * 10, "model_version": "3",
    "collections": ["model_inputs", "Odd"], "partition": "%Y/%m/%d/%H",
}  # fmt: skip


class Taking:
    """`ferryml.runner.modelrecords.Send`; raises `error` while there is one."""

    def __init__(self) -> None:
        self.batches: list[tuple[tuple[str, str, str, str], str, bytes]] = []
        self.error: Exception | None = None

    def __call__(self, key: tuple[str, str, str, str], name: str, lines: bytes) -> None:
        if self.error is not None:
            raise self.error
        self.batches.append((key, name, lines))
