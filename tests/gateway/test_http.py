from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from ferryml.domain.errors import Forbidden, Refused, TooLarge
from ferryml.gateway.http import BLOCK, body_of, handlers, read_as, receive, token_of


def a_request(*chunks: bytes, authorization: str = "") -> Request:
    messages: Iterator[dict[str, Any]] = iter(
        [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
    )

    async def hear() -> dict[str, Any]:
        return next(messages, {"type": "http.request", "body": b"", "more_body": False})

    headers = [(b"authorization", authorization.encode())] if authorization else []
    return Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, hear)


def test_tokens_are_bearers() -> None:
    assert token_of(a_request(authorization="bearer  abc ")) == "abc"
    assert token_of(a_request(authorization="Basic abc")) == token_of(a_request()) == ""


def test_bodies_have_a_limit() -> None:
    assert asyncio.run(body_of(a_request(b"ab", b"c"), 3)) == b"abc"
    with pytest.raises(TooLarge):
        asyncio.run(body_of(a_request(b"ab", b"cd"), 3))


def test_files_go_on_in_blocks() -> None:
    class Draft:
        def __init__(self) -> None:
            self.parts: list[int] = []

        def write(self, data: bytes) -> None:
            self.parts.append(len(data))

    draft = Draft()
    asyncio.run(receive(a_request(*[b"x" * 400_000] * 6), draft))  # type: ignore[arg-type]
    assert sum(draft.parts) == 2_400_000
    assert all(size >= BLOCK for size in draft.parts[:-1])


class Said(BaseModel):
    number: int


def test_what_is_said_must_fit() -> None:
    assert read_as(Said, b'{"number": 1}').number == 1
    for body in (b'{"number": "x"}', b"no json", b"[]", b"[" * 100_000):
        with pytest.raises(Refused):
            read_as(Said, body)


def test_every_error_has_the_one_shape() -> None:
    refused = handlers(lambda: "req1")
    for error, status, code in (
        (Forbidden("BadGrant", "no"), 403, "BadGrant"),
        (HTTPException(404, "gone"), 404, "NotFound"),
        (HTTPException(405, "no"), 405, "BadRequest"),
        (RuntimeError("secret"), 500, "Internal"),
    ):
        key = next(kind for kind in refused if isinstance(kind, type) and isinstance(error, kind))
        answer: Any = refused[key](a_request(), error)
        assert answer.status_code == status
        assert f'"code":"{code}"'.encode() in answer.body
        assert b"secret" not in answer.body
    assert refused[ClientDisconnect](a_request(), ClientDisconnect()).status_code == 499  # type: ignore[union-attr]
