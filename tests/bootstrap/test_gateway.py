"""The gateway as a program: it listens, answers, says when the disk is full, and keeps its port."""

from __future__ import annotations

from pathlib import Path

import httpx

from ferryml.bootstrap.dice import SystemDice
from ferryml.bootstrap.gateway import GatewayProgram
from ferryml.sdk.wire import Route, Wire, open_client
from ferryml.settings import SiteSettings
from server_play import PlayServer


def a_program(folder: Path, server: PlayServer, **settings: object) -> tuple[GatewayProgram, Wire]:
    asked = SiteSettings.model_validate({"state_dir": folder, "min_free_disk_bytes": 0, **settings})
    wire = Wire(open_client(Route(server.url)), Route(server.url))
    return GatewayProgram(asked, server.enrolled(), wire, SystemDice()), wire


def test_it_listens_forwards_and_keeps_its_port(tmp_path: Path, play_server: PlayServer) -> None:
    program, wire = a_program(tmp_path, play_server)
    program.start()
    url = program.door.url
    token = program.door.admit("job.w.j", 1, play_server.grant())
    headers = {"Authorization": f"Bearer {token}"}
    said = httpx.post(f"{url}/v1/logs?path=a.txt&offset=0", headers=headers, content=b"hi", trust_env=False)
    assert said.json() == {"size": 2}
    assert program.forwarder.drained("job.w.j", 1, 10)
    program.stop()
    wire.close()
    again, wire = a_program(tmp_path, play_server)
    again.start()
    assert again.door.url == url
    assert httpx.get(f"{url}/healthz", trust_env=False).status_code == 200
    again.stop()
    wire.close()
    assert play_server.logs() == {"a.txt": b"hi"}


def test_a_full_disk_is_said(tmp_path: Path, play_server: PlayServer) -> None:
    program, wire = a_program(tmp_path, play_server, min_free_disk_bytes=1 << 60)
    assert "free on the site's disk" in program.no_room()
    program.stop()
    wire.close()
