"""A server and a local site as whole programs in this process, joined over loopback."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from ferryml.bootstrap import server as server_program
from ferryml.bootstrap import site as site_program
from ferryml.settings import RouterSettings, ServerSettings, SiteSettings


@dataclass
class Programs:
    """`api` speaks as the server's owner; sites are started by `join` and stopped at the end of the test."""

    folder: Path
    server: Any
    api: httpx.Client
    sites: list[Any] = field(default_factory=list)

    def join(
        self, name: str = "local", zone: str = "", dice: Any = None, router: RouterSettings | None = None,
        **settings: Any,
    ) -> Any:  # fmt: skip
        """A started site under that name; `server_url` may point at a relay."""
        state = self.folder / f"site-{name}"
        token = ""
        if not (state / "enrolled.json").exists():
            said = self.api.post("/sites", json={"name": name, "zone": zone})
            assert said.status_code == 201, said.text
            token = said.json()["join_token"]
        quick = {"retry_min_s": 0.05, "retry_max_s": 0.5, "cancel_grace_s": 1, "server_url": self.server.url}
        asked = SiteSettings(name=name, zone=zone, state_dir=state, **{**quick, **settings})
        made = site_program.build(asked, router, join_token=token, dice=dice)
        made.start()
        self.sites.append(made)
        return made

    def leave(self, site: Any, stop_work: bool = True) -> None:
        self.sites.remove(site)
        site.stop(stop_work)

    def attach(self, compute: str = "here", site: str = "local") -> None:
        said = self.api.post("/workspaces/default/computes", json={"name": compute, "type": "local", "site": site})
        assert said.status_code == 201, said.text

    def submit(self, name: str, command: str, compute: str = "here", **spec: Any) -> None:
        job = {
            "type": "command", "name": name, "command": command, "compute": f"azureml:{compute}",
            "environment": {"name": "plain", "image": "python:3"}, **spec,
        }  # fmt: skip
        said = self.api.post("/workspaces/default/jobs", json=job)
        assert said.status_code == 201, said.text

    def job(self, name: str) -> dict[str, Any]:
        return self.api.get(f"/workspaces/default/jobs/{name}").json()

    def settles(self, name: str, *phases: str, within_s: float = 60) -> dict[str, Any]:
        """The job once it is in one of these phases (any end when none is named)."""
        wanted = phases or ("Completed", "Failed", "Canceled")
        wait_until(lambda: self.job(name)["status"] in wanted, within_s, lambda: str(self.job(name)["ferry"]))
        return self.job(name)

    def log(self, name: str, path: str = "user_logs/std_log.txt") -> str:
        return self.api.get(f"/workspaces/default/jobs/{name}/logs/content", params={"path": path}).text


def wait_until(true: Callable[[], bool], within_s: float, words: Callable[[], str] = lambda: "") -> None:
    """Looks often; fails with `words` when it does not come true in time."""
    until = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < until, f"not within {within_s} s: {words()}"
        time.sleep(0.05)


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    """A running server, and room for sites."""
    program = server_program.build(ServerSettings(state_dir=tmp_path / "server", port=0))
    program.start()
    token = (tmp_path / "server" / "admin.token").read_text().strip()
    with httpx.Client(
        base_url=f"{program.url}/api/v1", headers={"Authorization": f"Bearer {token}"}, timeout=30
    ) as api:
        made = Programs(tmp_path, program, api)
        try:
            yield made
        finally:
            for site in list(made.sites):
                made.leave(site)
            program.stop()
