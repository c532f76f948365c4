"""How a cluster becomes a site: with objects of the cluster alone, and only once."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field

import pytest

from ferryml.backends.kubernetes.kinds import CONFIG_MAPS, SECRETS
from ferryml.bootstrap.cluster_member import (
    ClusterMember,
    encoded,
    gateway_token,
    gateway_word,
    member,
    put_data,
    secret_text,
)
from ferryml.bootstrap.dice import SystemDice
from ferryml.domain.errors import Refused, Unavailable
from ferryml.domain.link import Enrol, Enrolled
from ferryml.sdk.wire import Wire
from ferryml.settings import SiteSettings
from kube_play import PlayKube
from site_play import T0

SYSTEM = "ferry-system"
ENROLLED = Enrolled(
    site="onprem", zone="", server_id="s", server_key=base64.b64encode(b"k" * 32).decode(), epoch="e", server_time=T0
)


@pytest.fixture
def kube() -> PlayKube:
    return PlayKube({SYSTEM})


@dataclass
class Server:
    """Says yes, unless it is away."""

    away: bool = False
    asked: list[Enrol] = field(default_factory=list)

    def __call__(self, wire: Wire, request: Enrol) -> Enrolled:
        self.asked.append(request)
        if self.away:
            raise Unavailable("ServerUnreachable", "away")
        return ENROLLED


@pytest.fixture
def server() -> Server:
    return Server()


def joined(kube: PlayKube, server: Server, token: str = "") -> ClusterMember:
    return member(kube, SYSTEM, SiteSettings(), token, SystemDice(), server)


def spoken(kube: PlayKube) -> None:
    put_data(kube, CONFIG_MAPS, SYSTEM, "ferry-gateway", {"public_key": "gk", "ca.pem": "PEM", "url": "https://g"})


def test_it_waits_for_the_gateway(kube: PlayKube, server: Server) -> None:
    with pytest.raises(Unavailable, match="has not published"):
        joined(kube, server, "t")
    assert server.asked == []


def test_it_joins_once_and_keeps_its_key(kube: PlayKube, server: Server) -> None:
    spoken(kube)
    put_data(kube, SECRETS, SYSTEM, "ferry-join", {"token": encoded("once")})
    first = joined(kube, server)
    again = joined(kube, server)
    assert first.enrolled == again.enrolled == ENROLLED
    (request,) = server.asked
    assert (request.join_token, request.gateway_key, request.backend) == ("once", "gk", "kubernetes")
    assert secret_text(kube.get(SECRETS, SYSTEM, "ferry-join"), "token") == ""
    assert "PRIVATE KEY" in secret_text(kube.get(SECRETS, SYSTEM, "ferry-agent-key"), "key.pem")
    site = kube.get(CONFIG_MAPS, SYSTEM, "ferry-site") or {}
    assert Enrolled.model_validate_json(site["data"]["enrolled.json"]) == ENROLLED


def test_a_key_that_was_made_is_used_again_after_a_failure(kube: PlayKube, server: Server) -> None:
    spoken(kube)
    server.away = True
    with pytest.raises(Unavailable):
        joined(kube, server, "t")
    server.away = False
    joined(kube, server, "t")
    assert server.asked[0].agent_key == server.asked[1].agent_key


def test_without_a_token_it_says_what_to_do(kube: PlayKube, server: Server) -> None:
    spoken(kube)
    with pytest.raises(Refused) as refused:
        joined(kube, server)
    assert refused.value.code == "MissingField"
    assert "ferry site create" in refused.value.hint


def test_objects_that_were_made_empty_are_filled(kube: PlayKube, server: Server) -> None:
    for kind, name in ((SECRETS, "ferry-agent-key"), (CONFIG_MAPS, "ferry-site"), (SECRETS, "ferry-join")):
        kube.write({"apiVersion": "v1", "kind": kind.kind, "metadata": {"name": name, "namespace": SYSTEM}})
    spoken(kube)
    made = joined(kube, server, "t")
    assert made.gateway == gateway_word(kube, SYSTEM)


def test_the_token_comes_from_the_pod_or_from_the_api_server() -> None:
    def none() -> str:
        raise FileNotFoundError

    assert gateway_token(lambda: "projected\n", lambda: "asked")() == "projected"
    assert gateway_token(none, lambda: "asked")() == "asked"
