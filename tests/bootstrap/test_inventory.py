"""What the heartbeat says."""

from datetime import UTC, datetime
from pathlib import Path

from ferryml.bootstrap.inventory import heartbeat, version
from ferryml.settings import SiteSettings


def test_the_heartbeat_says_what_is_there(tmp_path: Path) -> None:
    at = datetime(2024, 5, 1, tzinfo=UTC)
    beat = heartbeat(SiteSettings(state_dir=tmp_path, accept_zone_bound=True), "http://127.0.0.1:9", at)
    assert beat.version == version()
    assert beat.inventory["router_url"] == "http://127.0.0.1:9"
    assert beat.inventory["accept_zone_bound"] is True
    assert beat.inventory["cpus"] >= 1
    assert beat.inventory["memory_bytes"] > 1 << 20
    assert beat.inventory["disk_free_bytes"] > 0
