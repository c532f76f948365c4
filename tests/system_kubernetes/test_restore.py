"""A server brought back from an older backup, against a cluster that has gone on: orphans are named, never deleted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cluster_faults import let_go, logged, pods, pods_made, uid
from cluster_play import World
from ferryml.compile.kubernetes.names import resource_name
from kubebox.cluster import Cluster
from system_play import W, until

GATE = "echo begun; until [ -e /tmp/go ]; do sleep 0.1; done; echo ended"


def test_work_that_the_backup_does_not_know_is_orphaned_and_goes_on(
    joined: World, onprem: Cluster, tmp_path: Path
) -> None:
    state = ("--state-dir", str(joined.folder / "server"))
    for name in ("known", "between"):
        joined.submit(f"restored-{name}", GATE, "team-a")
        logged(joined, f"restored-{name}", "begun")
    joined.ferry("admin", "backup", *state, str(tmp_path / "backup"))
    joined.submit("restored-later", GATE, "team-b")
    logged(joined, "restored-later", "begun")
    let_go(onprem, "team-a", "restored-between")
    joined.completes("restored-between")

    joined.kill_server()
    joined.ferry("admin", "restore", *state, "--replace", str(tmp_path / "backup"))
    joined.serve()

    later = uid("restored-later")

    def orphans() -> dict[str, Any]:
        return dict(joined.get("/sites/onprem").get("orphans") or {})

    until(lambda: later in orphans(), 60, lambda: f"{orphans()}\n{joined.tail()}")
    assert not {uid("restored-known"), uid("restored-between")} & set(orphans())
    assert orphans()[later]["phase"] == "Running"
    assert joined.api.get(f"{W}/jobs/restored-later").status_code == 404
    assert [pod["status"]["phase"] for pod in pods(onprem, "team-b", "restored-later")] == ["Running"]

    let_go(onprem, "team-a", "restored-known")
    assert joined.completes("restored-known")["ferry"]["attempt"] == 1
    # its end was said before the restore, and is said again: an old order does not run twice
    joined.completes("restored-between")
    assert pods_made(onprem, "team-a", "restored-between") == {"1": 1}
    joined.submit("restored-after", "echo after", "team-b")
    joined.completes("restored-after")

    let_go(onprem, "team-b", "restored-later")
    until(lambda: pods(onprem, "team-b", "restored-later")[0]["status"]["phase"] == "Succeeded", 60, joined.tail)
    order = ("mljob", resource_name(later), "-n", "team-b")
    assert onprem.kubectl("get", *order, "-o", "jsonpath={.spec.uid}") == later
    assert later in orphans()
    onprem.kubectl("delete", *order)
