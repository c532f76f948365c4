"""A local site (agent, gateway, router) as a process of its own, as `ferry agent run` is; prints `ready URL`."""

from __future__ import annotations

import argparse
from pathlib import Path

from ferryml.bootstrap.site import run
from ferryml.settings import SiteSettings

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--server", required=True)
    parser.add_argument("--token", required=True)
    asked = parser.parse_args()
    settings = SiteSettings(state_dir=asked.state, server_url=asked.server, backend="local")
    run(settings, None, asked.token, ready=lambda site: print("ready", site.router.url, flush=True))
