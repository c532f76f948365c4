"""The local router as a process of its own, with one route that is handed in; prints `ready URL`."""

from __future__ import annotations

import argparse
import asyncio
import random
import secrets
import signal

from ferryml.domain.routes import EndpointRoute
from ferryml.router.app import Router
from ferryml.settings import RouterSettings


async def _serve(route: EndpointRoute, port: int) -> None:
    over = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, over.set)
    router = Router(RouterSettings(), random.random, lambda: secrets.token_hex(8), lambda *_: None)
    port = await router.start("127.0.0.1", port)
    router.apply(route)
    print("ready", f"http://127.0.0.1:{port}", flush=True)
    await over.wait()
    await router.stop(1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--route", required=True, help="an EndpointRoute as JSON")
    parser.add_argument("--port", type=int, default=0, help="on 127.0.0.1; 0: any that is free")
    asked = parser.parse_args()
    asyncio.run(_serve(EndpointRoute.model_validate_json(asked.route), asked.port))
