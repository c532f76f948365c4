"""Probes get yes or no, and why."""

from __future__ import annotations

import httpx
import pytest

from ferryml.bootstrap.health import HealthDoor
from ferryml.domain.errors import Refused


def test_yes_no_and_nothing_else() -> None:
    trouble = [""]
    door = HealthDoor("127.0.0.1", 0, lambda: "", lambda: trouble[0])
    door.start()
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{door.port}", trust_env=False) as client:
            assert client.get("/healthz").status_code == 200
            assert client.get("/readyz?verbose").status_code == 200
            trouble[0] = "the gateway has not spoken yet"
            said = client.get("/readyz")
            assert (said.status_code, said.text) == (503, "the gateway has not spoken yet")
            assert client.get("/secrets").status_code == 404
            assert client.post("/healthz").status_code == 501
    finally:
        door.stop()


def test_a_port_that_is_taken_is_refused() -> None:
    first = HealthDoor("127.0.0.1", 0, lambda: "", lambda: "")
    with pytest.raises(Refused, match="cannot listen"):
        HealthDoor("127.0.0.1", first.port, lambda: "", lambda: "")
    first.stop()
