"""Starts what is measured as processes of their own, so that their memory and time are theirs alone."""

from __future__ import annotations

import argparse
import asyncio
import random
import secrets
import signal
from pathlib import Path

from ferryml.bootstrap import server as server_program
from ferryml.bootstrap import site as site_program
from ferryml.bootstrap.loops import Loops
from ferryml.domain.routes import EndpointRoute
from ferryml.router.app import Router
from ferryml.settings import RouterSettings, SiteSettings
from ferryml.settings.server import ServerSettings


def main() -> None:
    """`python -m benchmarks.programs PROGRAM ...`; each prints `ready URL` once it answers."""
    parser = argparse.ArgumentParser()
    parser.add_argument("program", choices=("server", "site", "router"))
    parser.add_argument("--state", type=Path)
    parser.add_argument("--server", default="")
    parser.add_argument("--token", default="")
    parser.add_argument("--without", default="", help="a loop of the server that is not run")
    parser.add_argument("--route", default="", help="an EndpointRoute as JSON")
    asked = parser.parse_args()
    {"server": _server, "site": _site, "router": _router}[asked.program](asked)


def _server(asked: argparse.Namespace) -> None:
    program = server_program.build(ServerSettings(state_dir=asked.state, port=0))
    if asked.without:
        kept = [loop for loop in server_program.LOOPS if loop.name != asked.without]
        program.loops = Loops(program.deps, kept, holder="benchmark")
    print("ready", program.url, flush=True)
    program.run()


def _site(asked: argparse.Namespace) -> None:
    settings = SiteSettings(state_dir=asked.state, server_url=asked.server, backend="local")
    site_program.run(settings, None, asked.token, ready=lambda site: print("ready", site.router.url, flush=True))


def _router(asked: argparse.Namespace) -> None:
    route = EndpointRoute.model_validate_json(asked.route)

    async def serve() -> None:
        over = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, over.set)
        router = Router(RouterSettings(), random.random, lambda: secrets.token_hex(8), lambda *_: None)
        port = await router.start("127.0.0.1", 0)
        router.apply(route)
        print("ready", f"http://127.0.0.1:{port}", flush=True)
        await over.wait()
        await router.stop(1)

    asyncio.run(serve())


if __name__ == "__main__":
    main()
