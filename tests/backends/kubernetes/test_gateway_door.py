"""The agent's side of a gateway in the cluster: asked once, asked again when there is news."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from ferryml.backends.kubernetes.gateway_door import HttpGatewayDoor
from ferryml.domain.errors import Forbidden, Refused, Unavailable
from ferryml.domain.seen import Receipt

RECEIPT = Receipt(seq=3, exit_code=0, forwarded=True)


class Gateway:
    """Answers as the gateway does; `asked` holds method and path."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.bodies: list[bytes] = []
        self.away = False
        self.answers: dict[str, httpx.Response] = {
            "/admin/v1/receipt": httpx.Response(200, json=RECEIPT.model_dump(mode="json")),
            "/admin/v1/states": httpx.Response(200, json={"0": {"phase": "running"}}),
            "/admin/v1/outputs": httpx.Response(200, json={"o": {"digest": "sha256:" + "0" * 64}}),
        }

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.away:
            raise httpx.ConnectError("refused")
        assert request.headers["Authorization"] == "Bearer sa-token"
        self.asked.append(f"{request.method} {request.url.path}")
        self.bodies.append(request.content)
        return self.answers.get(request.url.path, httpx.Response(200, json={}))

    def error(self, path: str, status: int, code: str) -> None:
        self.answers[path] = httpx.Response(status, json={"error": {"code": code, "message": "because", "hint": ""}})


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def door(gateway: Gateway) -> HttpGatewayDoor:
    transport = httpx.MockTransport(gateway)
    return HttpGatewayDoor("https://g:8443/", "https://g:8443", "", lambda: "sa-token", transport=transport)


def test_pods_are_admitted_by_the_beginning_of_their_names(gateway: Gateway, door: HttpGatewayDoor) -> None:
    assert door.admit("job.w.j", 2, "grant", "team") == ""
    assert b'"namespace":"team"' in gateway.bodies[0].replace(b": ", b":")
    assert b"-2-" in gateway.bodies[0]
    assert door.url == "https://g:8443"


def test_what_did_not_change_is_asked_once(gateway: Gateway, door: HttpGatewayDoor) -> None:
    for _ in range(3):
        assert door.receipt("job.w.j", 1) == RECEIPT
        assert door.states("job.w.j", 1) == {0: {"phase": "running"}}
    assert len(gateway.asked) == 2


def test_news_are_asked_for(gateway: Gateway, door: HttpGatewayDoor) -> None:
    heard: list[str] = []
    door.heard = heard.append
    door.receipt("job.w.j", 1)
    door._news(7, None)
    door.receipt("job.w.j", 1)
    assert len(gateway.asked) == 2
    door.receipt("job.w.k", 1)
    door._news(8, [["job.w.k", 1]])
    door.receipt("job.w.j", 1)
    door.receipt("job.w.k", 1)
    assert gateway.asked.count("GET /admin/v1/receipt") == 4
    door._news(8, None)
    assert heard == ["", "job.w.k"]


def test_a_gateway_that_is_away_knows_nothing_and_breaks_nothing(gateway: Gateway, door: HttpGatewayDoor) -> None:
    gateway.away = True
    assert door.receipt("job.w.j", 1) is None
    assert door.states("job.w.j", 1) == {}
    with pytest.raises(Unavailable):
        door.admit("job.w.j", 1, "grant", "team")
    gateway.away = False
    assert door.receipt("job.w.j", 1) == RECEIPT


def test_no_receipt_is_none(gateway: Gateway, door: HttpGatewayDoor) -> None:
    gateway.answers["/admin/v1/receipt"] = httpx.Response(200, text="null")
    assert door.receipt("job.w.j", 1) is None


def test_after_a_dismissal_nothing_is_remembered(gateway: Gateway, door: HttpGatewayDoor) -> None:
    door.receipt("job.w.j", 1)
    door.dismiss("job.w.j")
    door.receipt("job.w.j", 1)
    assert gateway.asked.count("GET /admin/v1/receipt") == 2


def test_errors_keep_their_code(gateway: Gateway, door: HttpGatewayDoor) -> None:
    gateway.error("/admin/v1/admit", 403, "BadGrant")
    with pytest.raises(Forbidden) as refused:
        door.admit("job.w.j", 1, "forged", "team")
    assert refused.value.code == "BadGrant"
    gateway.error("/admin/v1/log", 507, "DiskFull")
    with pytest.raises(Unavailable) as full:
        door.append_log("job.w.j", 1, "l", b"x")
    assert full.value.code == "DiskFull"
    gateway.answers["/admin/v1/renew"] = httpx.Response(400, text="?")
    with pytest.raises(Refused, match="answered 400"):
        door.renew("job.w.j", "grant")


def test_outputs_and_environments(gateway: Gateway, door: HttpGatewayDoor) -> None:
    assert door.outputs("job.w.j", 1)["o"].digest.startswith("sha256:")
    ready: dict[str, Any] = {"digest": "d", "size": 1}
    gateway.answers["/v1/environment"] = httpx.Response(200, json=ready)
    assert door.prepared("k") == ready
    gateway.error("/v1/environment", 404, "NotFound")
    assert door.prepared("k") is None


def test_an_agent_without_a_disk_fetches_nothing(door: HttpGatewayDoor) -> None:
    with pytest.raises(Refused):
        door.fetch("sha256:" + "0" * 64, "grant")


def test_which_attempts_there_were_is_the_gateways_word(gateway: Gateway, door: HttpGatewayDoor) -> None:
    gateway.answers["/admin/v1/lived"] = httpx.Response(200, json={"attempt": 2})
    assert door.lived("job.w.j") == 2
    gateway.away = True
    with pytest.raises(Unavailable):
        door.lived("job.w.j")
