"""Environments that are built ahead."""

from control_play import said as chunk
from ferryml.sdk import flows

LOG = "system_logs/environment.log"


def test_its_log_is_followed_to_the_end(desk, client, monkeypatch):
    monkeypatch.setattr(flows, "LAST_LINES_S", 0)
    client.environments.create({"name": "e", "pip_requirements": ["numpy"]})
    name = client.environments.build("e", "@latest", "c1")["name"]
    desk.turns()
    desk.reports("cloud", name, "Preparing")
    desk.turns()
    desk.entries("cloud", name, chunk("STEP 1\n", path=LOG), chunk("other\n"))
    desk.reports("cloud", name, "Completed", 2)
    desk.turns()
    lines = []
    assert client.jobs.stream(name, lines.append, log=LOG)["status"] == "Completed"
    assert b"".join(lines) == b"STEP 1\n"
