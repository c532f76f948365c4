"""Every failure leaves in one shape: `{"error": {code, message, hint, details}, "request_id"}`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from ferryml.domain.errors import Defect, FerryError, NotFound, Refused, TooLarge

STATUS: Mapping[str, int] = {"OffsetMismatch": 409}
"""Codes whose HTTP status says more than that of their branch."""


class ErrorBody(BaseModel):
    """What went wrong, for programs (`code`) and people."""

    code: str
    message: str
    hint: str = ""
    details: dict[str, Any] = {}


class ErrorAnswer(BaseModel):
    """The body of every answer of 400 and above."""

    error: ErrorBody
    request_id: str


def answer(error: FerryError, request_id: str) -> JSONResponse:
    """The HTTP answer for an error."""
    status = STATUS.get(error.code, error.status)
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    if status == 503:
        headers["Retry-After"] = "1"
    body = {"error": _safe(error.as_dict()), "request_id": request_id}
    return JSONResponse(body, status, headers)


def defect(request_id: str) -> JSONResponse:
    """The answer for what should not have happened: the log has the story."""
    return answer(Defect("Internal", "something went wrong inside Ferry", "Report it with the request id."), request_id)


def install(app: FastAPI) -> None:
    """Translate every error that routes and the framework raise."""
    app.add_exception_handler(FerryError, _ferry)
    app.add_exception_handler(RequestValidationError, _validation)
    app.add_exception_handler(HTTPException, _http)


def request_id(request: Request) -> str:
    """The id that this request got on its way in."""
    return str(request.scope.get("ferry.request_id", ""))


def _ferry(request: Request, error: Exception) -> Response:
    assert isinstance(error, FerryError)  # noqa: S101  the framework calls by type
    return answer(error, request_id(request))


def _validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  the framework calls by type
    faults = [
        {"place": ".".join(str(part) for part in fault["loc"]), "message": str(fault["msg"])}
        for fault in error.errors()
    ]
    words = "; ".join(f"{fault['place']}: {fault['message']}" for fault in faults[:5])
    return answer(
        Refused("BadRequest", words, "Check it against /openapi.json.", {"errors": faults}), request_id(request)
    )


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  the framework calls by type
    words = f"{request.method} {request.url.path}: {error.detail}"
    found: FerryError = Refused("BadRequest", words, "Check it against /openapi.json.")
    if error.status_code == 404:
        found = NotFound("NotFound", words, "Check the address.")
    elif error.status_code == 413:
        found = TooLarge("LimitExceeded", words)
    made = answer(found, request_id(request))
    made.status_code = error.status_code
    made.headers.update(error.headers or {})
    return made


def _safe(value: Any) -> Any:
    """Text that can be sent: user input may hold halves of surrogate pairs."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {_safe(str(key)): _safe(inner) for key, inner in value.items()}
    return [_safe(inner) for inner in value] if isinstance(value, list | tuple) else value
