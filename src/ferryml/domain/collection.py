"""Records of requests and answers on their way from a router to a data asset."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from ferryml.domain.orders import Wire

Rolling = Literal["minute", "hour", "day", "month", "year"]
_PARTS: dict[Rolling, str] = {
    "year": "%Y", "month": "%Y/%m", "day": "%Y/%m/%d", "hour": "%Y/%m/%d/%H", "minute": "%Y/%m/%d/%H/%M",
}  # fmt: skip
SUFFIX = ".jsonl"
MAX_BATCH = 8 << 20
"""Bytes that are handed over at once."""
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][-_A-Za-z0-9]{0,63}$")]


class Batch(Wire):
    """Whole lines of one collection and one span of time; the same name again is the same batch."""

    uid: Annotated[str, Field(pattern=r"^endpoint\.[-_.A-Za-z0-9]{1,200}$")]
    deployment: Name
    collection: Name
    partition: Annotated[str, Field(pattern=r"^\d{4}(/\d\d){0,4}$")]
    name: Name
    """Of the router and the batch among its own."""

    @property
    def path(self) -> str:
        """Where its lines are below the collection's folder."""
        return f"{self.partition}/{self.name}{SUFFIX}"

    @property
    def rolling(self) -> Rolling:
        """The span that its partition stands for."""
        return tuple(_PARTS)[self.partition.count("/")]


def partition(at: datetime, rolling: Rolling) -> str:
    """The folder of what happened then."""
    return at.strftime(_PARTS[rolling])


def pattern(rolling: Rolling) -> str:
    """The same for those who know the time by themselves: what `strftime` makes a folder of."""
    return _PARTS[rolling]


def asset_name(endpoint: str, deployment: str, collection: str) -> str:
    """The data asset of a collection, where the deployment names none."""
    return f"{endpoint}-{deployment}-{collection}"
