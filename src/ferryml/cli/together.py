"""Server and site in one process: started in order, joined, attached, ended in order."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

from ferryml.cli.local import LocalState
from ferryml.cli.programs import program, settings
from ferryml.domain.errors import Conflict, Unavailable
from ferryml.sdk.client import Client
from ferryml.sdk.config import URL_FILE
from ferryml.sdk.sending import Target
from ferryml.settings import RouterSettings, ServerSettings, SiteSettings

NAME = "local"
"""Of the site and of the compute that stands for it."""
ONLINE_S = 30.0
log = logging.getLogger(__name__)


def run(state: LocalState, port: int | None, config: Path | None) -> None:
    """Until SIGTERM or SIGINT (which end the work too), or SIGUSR1 (which lets it go on for the next `ferry up`)."""
    over, keep = threading.Event(), threading.Event()

    def leave(*_: object) -> None:
        keep.set()
        over.set()

    signal.signal(signal.SIGUSR1, leave)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    state.write(ready=False)
    server = program("ferryml.bootstrap.server").build(
        settings(ServerSettings, {"state_dir": state.folder, "port": choose_port(state, port)}, config)
    )
    server.start()
    try:
        (state.folder / URL_FILE).write_text(server.url + "\n", encoding="utf-8")
        with Client(target=Target(server.url, state.token), workspace="default") as client:
            site = _site(state, client, server.url, config)
            site.start()
            try:
                _attach(client, over)
                state.write(ready=True)
                log.info("Ferry answers at %s", server.url)
                over.wait()
            finally:
                site.stop(stop_work=not keep.is_set())
    finally:
        server.stop()
        state.forget()


def choose_port(state: LocalState, port: int | None) -> int:
    """As told; else that of last time or the usual one if free; else any."""
    if port is not None:
        return port
    if "FERRY_SERVER_PORT" in os.environ:
        return int(os.environ["FERRY_SERVER_PORT"])
    last = state.url.rpartition(":")[2]
    wanted = [int(last)] if last.isdigit() else []
    return next((each for each in (*wanted, 8765) if _free(each)), 0)


def _site(state: LocalState, client: Client, url: str, config: Path | None) -> Any:
    folder = state.folder / "site"
    chosen = settings(SiteSettings, {"state_dir": folder, "server_url": url, "name": NAME}, config)
    token = ""
    if not (folder / "enrolled.json").exists():
        try:
            token = client.sites.create({"name": NAME})["join_token"]
        except Conflict:
            token = client.sites.token(NAME)["join_token"]
    return program("ferryml.bootstrap.site").build(chosen, settings(RouterSettings, {}, config), token)


def _attach(client: Client, over: threading.Event) -> None:
    """The site as the compute `local`, and as what jobs without a compute get, unless the workspace says otherwise."""
    deadline = time.monotonic() + ONLINE_S
    while client.sites.get(NAME)["state"] != "Online" and not over.is_set():
        if time.monotonic() > deadline:
            raise Unavailable("SiteOffline", f"the site was not heard from within {ONLINE_S:g} s", "See the log.")
        over.wait(0.05)
    if NAME not in [compute["name"] for compute in client.computes.list()]:
        client.computes.create({"name": NAME, "type": "local", "site": NAME})
    if not client.workspaces.get("default").get("default_compute"):
        client.workspaces.update("default", {"default_compute": NAME})


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
