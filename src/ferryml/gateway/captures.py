"""Predictions of a cluster's endpoints, kept where there is a disk: the agent brings them, and labels later."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ferryml.domain.statuses import Accuracy
from ferryml.gateway.http import M, Row, body_of, read_as, token_of
from ferryml.gateway.pods import Pods

BODY_LIMIT = 32 << 20
MAX_PREDICTIONS, MAX_LABELS = 5000, 10_000
Uid = Annotated[str, Field(pattern=r"^endpoint\.", max_length=500)]
Text = Annotated[str, Field(max_length=64)]
Value = Annotated[str, Field(max_length=8192)]
T = TypeVar("T")


class Predictions(Protocol):
    """What keeps them, durable when a call returns."""

    def take(self, given: Iterable[tuple[str, str, str, str]]) -> None:
        """(uid, request id, revision, prediction as JSON text); the same again changes nothing."""

    def join(self, uid: str, labels: Iterable[tuple[str, str]]) -> tuple[int, int]: ...
    def everything(self) -> Mapping[str, Mapping[str, tuple[Accuracy, Accuracy]]]:
        """uid -> revision -> (all labels, the last 1,000)."""

    def forget(self, uid: str) -> None: ...


class PredictionsSaid(BaseModel):
    """Body of `POST /admin/v1/predictions`."""

    model_config = ConfigDict(extra="forbid")
    predictions: list[tuple[Uid, Text, Text, Value]] = Field(max_length=MAX_PREDICTIONS)


class LabelsSaid(BaseModel):
    """Body of `POST /admin/v1/labels`."""

    model_config = ConfigDict(extra="forbid")
    uid: Uid
    labels: list[tuple[Text, Value]] = Field(max_length=MAX_LABELS)


class ForgetSaid(BaseModel):
    """Body of `POST /admin/v1/predictions/forget`."""

    model_config = ConfigDict(extra="forbid")
    uid: Uid


class CaptureRoutes:
    """For the agent alone, as all that begins with /admin."""

    def __init__(self, pods: Pods, kept: Predictions) -> None:
        self._pods, self._kept = pods, kept
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="ferry-captures")

    def table(self) -> list[Row]:
        return [
            ("/admin/v1/predictions", self.predictions, ["POST"]),
            ("/admin/v1/predictions/forget", self.forget, ["POST"]),
            ("/admin/v1/labels", self.labels, ["POST"]),
            ("/admin/v1/accuracy", self.accuracy, ["GET"]),
        ]

    async def predictions(self, request: Request) -> Response:
        said = await self._said(request, PredictionsSaid)
        await self._work(lambda: self._kept.take(said.predictions))
        return JSONResponse({})

    async def labels(self, request: Request) -> Response:
        said = await self._said(request, LabelsSaid)
        matched, unmatched = await self._work(lambda: self._kept.join(said.uid, said.labels))
        return JSONResponse({"matched": matched, "unmatched": unmatched})

    async def accuracy(self, request: Request) -> Response:
        await self._check(request)
        found = await self._work(self._kept.everything)
        return JSONResponse(
            {
                uid: {name: [one.model_dump(mode="json") for one in both] for name, both in revisions.items()}
                for uid, revisions in found.items()
            }
        )

    async def forget(self, request: Request) -> Response:
        said = await self._said(request, ForgetSaid)
        await self._work(lambda: self._kept.forget(said.uid))
        return JSONResponse({})

    async def _said(self, request: Request, model: type[M]) -> M:
        await self._check(request)
        body = await body_of(request, BODY_LIMIT)
        return await self._work(lambda: read_as(model, body))

    async def _check(self, request: Request) -> None:
        await self._work(lambda: self._pods.check_admin(token_of(request)))

    async def _work(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)
