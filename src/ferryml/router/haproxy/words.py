"""Text as HAProxy's language wants it: quoted, and answers in the one error shape."""

from __future__ import annotations

import json


def error_body(code: str, message: str, hint: str = "", details: str = "") -> str:
    """The one error shape as a log-format string in quotes; `details` is JSON that may hold %[...]."""
    said = json.dumps({"code": code, "message": message, "hint": hint})[:-1] + f', "details": {{{details}}}}}'
    return quoted(f'{{"error": {said}, "request_id": "%[var(txn.rid)]"}}')


def quoted(text: str) -> str:
    """One word, whatever is in it but line ends."""
    return "'" + text.replace("'", "'\\''") + "'"


def returned(status: int, body: str, condition: str, *headers: str) -> str:
    """A rule that answers by itself; `headers` are NAME VALUE."""
    told = "".join(f" hdr {header}" for header in headers)
    return (
        f"http-request return status {status} content-type application/json{told} lf-string {body} {condition}".strip()
    )


def returned_later(status: int, body: str, condition: str) -> str:
    """The same for what a model answered."""
    return f"http-response return status {status} content-type application/json lf-string {body} {condition}"


def log_of(ring: str, longest: int, line: str) -> list[str]:
    """One line for each request into a ring."""
    return [f"log ring@{ring} len {longest} format raw local0 info", f'log-format "{line}"']
