"""All routers of a cluster are one to their operator, whoever of them came first."""

from __future__ import annotations

import base64
import ssl
from datetime import UTC, datetime, timedelta

from ferryml.backends.kubernetes.kinds import SECRETS
from ferryml.backends.kubernetes.router_doors import DOOR, door_word
from ferryml.bootstrap.dice import SystemDice
from ferryml.bootstrap.router_identity import KEY, RouterIdentity
from kube_play import PlayKube


class LaterDice(SystemDice):
    def __init__(self, days: int) -> None:
        self.days = days

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(days=self.days)


def an_empty_one(name: str) -> dict:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "sys"}, "type": "Opaque"}


def installed() -> PlayKube:
    kube = PlayKube({"sys"})
    for name in (KEY, DOOR):
        kube.create(SECRETS, an_empty_one(name))
    return kube


def test_the_first_makes_it_and_the_others_take_it_over() -> None:
    kube = installed()
    first, second = (RouterIdentity(kube, "sys", SystemDice()) for _ in range(2))
    assert (first.bearer, first.peer_secret, first.certified) == (second.bearer, second.peer_secret, second.certified)
    assert len({first.bearer, first.peer_secret}) == 2


def test_two_at_once_agree() -> None:
    kube = installed()
    real, others = kube.replace, []

    def raced(kind, body):
        if not others:
            others.append(None)
            others.append(RouterIdentity(kube, "sys", SystemDice()))
        return real(kind, body)

    kube.replace = raced
    late = RouterIdentity(kube, "sys", SystemDice())
    assert late.bearer == others[1].bearer == door_word(kube, "sys").bearer


def test_the_operator_gets_what_it_needs_and_no_key() -> None:
    kube = installed()
    made = RouterIdentity(kube, "sys", SystemDice())
    word = door_word(kube, "sys")
    assert (word.bearer, word.authority) == (made.bearer, made.certified.authority)
    data = kube.get(SECRETS, "sys", DOOR)["data"]
    assert set(data) == {"ca.pem", "bearer"}
    assert not any("PRIVATE" in base64.b64decode(value).decode() for value in data.values())


def test_a_door_is_known_by_its_name_and_follows_renewals() -> None:
    kube = installed()
    made = RouterIdentity(kube, "sys", LaterDice(-300))
    context = made.tls()
    trusting = ssl.create_default_context(cadata=made.certified.authority)
    assert handshake(context, trusting, "ferry-router")
    before = made.certified.certificate
    assert not made.renewed()
    made._dice = SystemDice()
    assert made.renewed()
    assert made.certified.certificate != before
    assert made.tls() is context
    assert handshake(context, trusting, "ferry-router")
    assert door_word(kube, "sys").authority == made.certified.authority


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> bool:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = server.wrap_bio(to_server, to_client, server_side=True)
    other = client.wrap_bio(to_client, to_server, server_hostname=name)
    for _ in range(4):
        for side in (other, one):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return bool(other.getpeercert())
