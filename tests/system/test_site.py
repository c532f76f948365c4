"""A whole local site against a whole server: restarts, proxies, clocks, and orderly ends."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ferryml.bootstrap.dice import SystemDice
from ferryml.bootstrap.site import build
from ferryml.domain.errors import Unauthenticated
from ferryml.settings import SiteSettings
from fixtures_site import Programs, wait_until

WAIT = "echo $$ > {0}/pid; until [ -e {0}/go ]; do sleep 0.05; done; echo went on; mkdir -p outputs; echo x > outputs/f"


class ShiftedDice(SystemDice):
    """A machine whose clock is wrong."""

    def __init__(self, minutes: int) -> None:
        self._minutes = minutes

    def now(self) -> datetime:
        return super().now() + timedelta(minutes=self._minutes)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.timeout(120)
def test_work_goes_on_while_the_site_restarts(programs: Programs, tmp_path: Path) -> None:
    site = programs.join()
    programs.attach()
    programs.submit("long", WAIT.format(tmp_path))
    wait_until((tmp_path / "pid").exists, 30, lambda: str(programs.job("long")["ferry"]))
    url = site.gateway.door.url
    programs.leave(site, stop_work=False)
    assert alive(int((tmp_path / "pid").read_text()))
    (tmp_path / "go").touch()
    again = programs.join()
    assert again.gateway.door.url == url, "running work knows the gateway by its port"
    job = programs.settles("long")
    assert (job["status"], job["ferry"]["attempt"]) == ("Completed", 1), job["ferry"]
    assert programs.log("long").strip() == "went on"


@pytest.mark.timeout(120)
def test_stopping_with_its_work_leaves_no_process(programs: Programs, tmp_path: Path) -> None:
    site = programs.join()
    programs.attach()
    programs.submit("long", WAIT.format(tmp_path))
    wait_until((tmp_path / "pid").exists, 30, lambda: str(programs.job("long")["ferry"]))
    programs.leave(site, stop_work=True)
    pid = int((tmp_path / "pid").read_text())
    wait_until(lambda: not alive(pid), 10)


@pytest.mark.timeout(120)
def test_cancel_ends_the_process(programs: Programs, tmp_path: Path) -> None:
    programs.join()
    programs.attach()
    programs.submit("long", WAIT.format(tmp_path))
    wait_until((tmp_path / "pid").exists, 30, lambda: str(programs.job("long")["ferry"]))
    programs.api.post("/workspaces/default/jobs/long/cancel")
    assert programs.settles("long")["status"] == "Canceled"
    assert not alive(int((tmp_path / "pid").read_text()))


@pytest.mark.timeout(120)
def test_everything_goes_through_the_proxy(programs: Programs, squid_proxy: Any) -> None:
    programs.join(proxy=squid_proxy.url, no_proxy="")
    programs.attach()
    programs.submit("quick", "echo hello")
    assert programs.settles("quick")["status"] == "Completed"
    for path in ("/agent/v1/enrol", "/agent/v1/wishes", "/agent/v1/reports", "/gateway/v1/journal"):
        wait_until(lambda path=path: squid_proxy.saw(path), 5, lambda path=path: path)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("minutes", [-10, 10])
def test_a_wrong_clock_does_not_matter(programs: Programs, minutes: int) -> None:
    programs.join(dice=ShiftedDice(minutes))
    programs.attach()
    programs.submit("quick", "echo hello")
    assert programs.settles("quick")["status"] == "Completed"


def test_a_made_up_join_token_joins_nothing(programs: Programs, tmp_path: Path) -> None:
    settings = SiteSettings(state_dir=tmp_path / "x", server_url=programs.server.url)
    with pytest.raises(Unauthenticated) as wrong:
        build(settings, join_token="made up")
    assert wrong.value.code == "JoinTokenUsed"
    assert not (tmp_path / "x" / "enrolled.json").exists()
