"""A server brought back from an older backup: sites say everything again, and what it forgot goes on."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from system_play import World, until

pytestmark = pytest.mark.timeout(180)


def test_work_that_the_backup_does_not_know_is_orphaned_and_goes_on(world: World, tmp_path: Path) -> None:
    gate, beats = tmp_path / "gate", tmp_path / "beats"
    state = ("--state-dir", str(tmp_path / "server"))
    loop = f"until [ -e {gate} ]; do echo $0 >> {beats}-$AZUREML_RUN_ID; sleep 0.1; done"
    world.submit("early", "echo early")
    world.settles("early")
    world.submit("between", f"until [ -e {gate}-0 ]; do sleep 0.1; done; echo once >> {tmp_path / 'once'}")
    world.settles("between", "Running")
    world.submit("known", f"{loop}; echo known is over")
    world.settles("known", "Running")
    world.ferry("admin", "backup", *state, str(tmp_path / "backup"))
    world.submit("later", f"{loop}; echo over > {tmp_path / 'over'}")
    world.settles("later", "Running")
    Path(f"{gate}-0").touch()
    world.settles("between")
    world.kill("server")
    world.ferry("admin", "restore", *state, "--replace", str(tmp_path / "backup"))
    world.serve()

    def orphans() -> dict[str, dict[str, str]]:
        return dict(json.loads(world.ferry("site", "show", "-n", "local", "-o", "json")).get("orphans") or {})

    until(lambda: "job.default.later" in orphans(), 30, lambda: f"{orphans()}\n{world.tail()}")
    assert not {"job.default.early", "job.default.known", "job.default.between"} & set(orphans())
    assert orphans()["job.default.later"]["phase"] == "Running"
    assert world.api.get("/workspaces/default/jobs/later").status_code == 404
    assert world.job("early")["status"] == "Completed"
    size = Path(f"{beats}-later").stat().st_size
    until(lambda: Path(f"{beats}-later").stat().st_size > size, 20, lambda: "the orphan was stopped")
    gate.touch()
    job = world.settles("known")
    assert (job["status"], job["ferry"]["attempt"]) == ("Completed", 1)
    until((tmp_path / "over").exists, 20)
    until(lambda: orphans()["job.default.later"]["phase"] == "Completed", 30, lambda: str(orphans()))
    assert list((tmp_path / "local" / "jobs").glob("job.default.later-*")), "nothing of it is deleted"
    between = world.settles("between", within_s=30)
    assert (tmp_path / "once").read_text() == "once\n", "an old order does not run twice"
    assert between["status"] == "Completed", between
    world.submit("after", "echo after")
    assert world.settles("after")["status"] == "Completed"
