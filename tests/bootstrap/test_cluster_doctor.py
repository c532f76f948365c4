"""The doctor plugged together: the ways out of a site, and rights before joining."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from ferryml.bootstrap.cluster_doctor import gateway_look, make_doctor, route_of, server_look, types_of, wants_of
from ferryml.compile.kubernetes.cluster import cluster_of
from ferryml.settings import ClusterSettings, SiteSettings
from kube_play import PlayKube


class Old(BaseHTTPRequestHandler):
    """A server whose clock stands still."""

    def do_GET(self) -> None:
        self.send_response_only(200 if self.path == "/api/v1/version" else 500)
        self.send_header("Date", "Wed, 01 May 2024 00:00:00 GMT")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def server() -> Iterator[str]:
    made = HTTPServer(("127.0.0.1", 0), Old)
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{made.server_port}"
    made.shutdown()
    thread.join(5)
    made.server_close()


def test_the_server_and_its_clock(server: str) -> None:
    look = server_look(route_of(SiteSettings(server_url=server)), lambda: datetime(2024, 5, 1, 0, 1, tzinfo=UTC))
    assert (look.code, look.skew_s) == ("", 60)


def test_a_server_that_is_not_there() -> None:
    look = server_look(route_of(SiteSettings(server_url="http://127.0.0.1:1")), lambda: datetime.now(UTC))
    assert look.code == "ServerUnreachable"
    through = SiteSettings(server_url="http://server.example", proxy="http://127.0.0.1:1", no_proxy="")
    assert server_look(route_of(through), lambda: datetime.now(UTC)).code == "ProxyFailed"


def test_the_gateway(server: str) -> None:
    assert "500" in gateway_look(server, "")
    assert "127.0.0.1:1" in gateway_look("https://127.0.0.1:1", "")


def test_the_doctor_takes_the_settings() -> None:
    knobs = ClusterSettings(namespaces="a,b", pod_security="restricted")
    wants = wants_of(knobs)
    assert (wants.namespaces, wants.pod_security) == (("a", "b"), "restricted")
    kube = PlayKube({"default"})
    doctor = make_doctor(
        SiteSettings(server_url="http://127.0.0.1:1"), kube, cluster_of({}, gateway_url="", ca="", main_sh=""), wants,
        lambda: types_of(kube),
    )  # fmt: skip
    found = {each.check: each for each in doctor.examine(probe=False)}
    assert found["kubernetes"].level == "ok"
    assert found["server"].level == "failed"
    assert found["nodes"].code == "ClusterTooSmall"
