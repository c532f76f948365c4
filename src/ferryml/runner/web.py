"""Fetches an input that was given as a web address; loaded only when there is one."""

from __future__ import annotations

import os
import ssl
import threading
import urllib.error
import urllib.request
from typing import Any

BLOCK = 1 << 20
TRIES = 5
TIMEOUT_S = 60


class Unreachable(Exception):
    """The address does not answer, or not with a file."""


def fetch_uri(item: dict[str, Any], target: str, stop: threading.Event) -> None:
    """Downloads `item["uri"]` to `target`, through `item["proxy"]` and with `item["ca_bundle"]` where given.

    Raises:
        Unreachable: it failed for good, or five times.
    """
    if not item["uri"].startswith(("http://", "https://")):
        raise Unreachable(f"{_plain(item['uri'])} is no web address")
    context = ssl.create_default_context(cafile=item.get("ca_bundle") or None)
    proxies = {"http": item["proxy"], "https": item["proxy"]} if item.get("proxy") else {}
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(proxies),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=context),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)  # by hand, because the usual set also opens local files
    for number in range(TRIES):
        try:
            _save(opener, item["uri"], target)
            return
        except urllib.error.HTTPError as error:
            error.close()
            if error.code < 500 and error.code not in (408, 429):
                raise Unreachable(f"{_plain(item['uri'])} answers {error.code} {error.reason}") from error
            why = f"answers {error.code}"
        except (urllib.error.URLError, ConnectionError, TimeoutError) as error:
            why = str(getattr(error, "reason", error))
        if number == TRIES - 1 or stop.wait(0.5 * 2**number):
            break
    raise Unreachable(f"{_plain(item['uri'])} cannot be fetched: {why}")


def _save(opener: urllib.request.OpenerDirector, uri: str, target: str) -> None:
    partial = target + ".partial"
    with opener.open(uri, timeout=TIMEOUT_S) as answer, open(partial, "wb") as file:
        size = 0
        while True:
            block = answer.read(BLOCK)
            if not block:
                break
            file.write(block)
            size += len(block)
        promised = answer.headers.get("Content-Length")
        if promised and size != int(promised):
            raise ConnectionError(f"{size} of {promised} bytes arrived")
    os.replace(partial, target)


def _plain(uri: str) -> str:
    """Without query and credentials: signed addresses are secrets."""
    scheme, _, rest = uri.partition("://")
    return f"{scheme}://{rest.split('?')[0].rpartition('@')[2]}"
