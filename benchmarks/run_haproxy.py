"""The HAProxy router as a process of its own, with one route that is handed in; prints `ready URL`."""

from __future__ import annotations

import argparse
import random
import secrets
import shutil
import signal
import tempfile
import threading
from dataclasses import replace
from pathlib import Path

from ferryml.domain.routes import EndpointRoute
from ferryml.router.haproxy.options import Options
from ferryml.router.haproxy.router import HaproxyRouter, Places
from ferryml.settings import RouterSettings


class Measured(HaproxyRouter):
    """With as many tiers as asked."""

    tiers = 2

    def options(self, address: str) -> Options:
        """The usual ones but for the tiers."""
        return replace(super().options(address), tiers=self.tiers)


def _serve(route: EndpointRoute, tiers: int) -> None:
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    base = Path(tempfile.mkdtemp(prefix="fb-"))
    router = Measured(
        RouterSettings(), Places(base / "files", base), random.random, lambda: secrets.token_hex(8), lambda *_: None
    )
    router.tiers = tiers
    try:
        port = router.start("127.0.0.1", 0)
        router.apply(route)
        print("ready", f"http://127.0.0.1:{port}", flush=True)
        over.wait()
    finally:
        router.stop(1)
        shutil.rmtree(base)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--route", required=True, help="an EndpointRoute as JSON")
    parser.add_argument("--tiers", type=int, default=2)
    asked = parser.parse_args()
    _serve(EndpointRoute.model_validate_json(asked.route), asked.tiers)
