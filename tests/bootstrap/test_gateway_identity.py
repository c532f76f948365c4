from __future__ import annotations

import base64
from pathlib import Path

from cryptography import x509

from ferryml.backends.kubernetes.kinds import CONFIG_MAPS, SECRETS
from ferryml.bootstrap.dice import SystemDice
from ferryml.bootstrap.gateway_identity import GATEWAY_KEY, GatewayIdentity
from ferryml.settings import ClusterSettings
from kube_play import PlayKube

SYSTEM = "ferry-system"


def an_identity(kube: PlayKube, url: str = "") -> GatewayIdentity:
    return GatewayIdentity(kube, ClusterSettings(state_dir=Path("/nowhere"), gateway_url=url), SystemDice())


def test_it_is_made_once() -> None:
    kube = PlayKube({SYSTEM})
    first, second = an_identity(kube), an_identity(kube)
    assert first.certified == second.certified
    assert first.key.private_bytes_raw() == second.key.private_bytes_raw()
    assert not second.renewed()


def test_another_address_gets_another_certificate_under_the_same_authority() -> None:
    kube = PlayKube({SYSTEM})
    first, second = an_identity(kube), an_identity(kube, "https://10.0.0.7:8443")
    assert first.certified.authority == second.certified.authority
    names = x509.load_pem_x509_certificate(second.certified.certificate.encode()).extensions
    found = names.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "10.0.0.7" in map(str, found.get_values_for_type(x509.IPAddress))
    assert "ferry-gateway.ferry-system.svc" in found.get_values_for_type(x509.DNSName)


def test_its_word_is_public_and_its_keys_are_not() -> None:
    kube = PlayKube({SYSTEM})
    identity = an_identity(kube)
    identity.publish()
    word = (kube.get(CONFIG_MAPS, SYSTEM, "ferry-gateway") or {})["data"]
    assert set(word) == {"public_key", "ca.pem", "url"}
    assert word["url"] == "https://ferry-gateway.ferry-system.svc:8443"
    assert "PRIVATE" not in str(word)
    writes = len(kube.log)
    identity.publish()
    assert len(kube.log) == writes


def test_a_secret_that_was_emptied_is_filled_anew() -> None:
    kube = PlayKube({SYSTEM})
    identity = an_identity(kube)
    before = identity.certified
    empty = {"data": dict.fromkeys(("ca.pem", "ca.key", "tls.crt", "tls.key"))}
    kube.patch(SECRETS, SYSTEM, GATEWAY_KEY, empty)
    assert identity.renewed()
    assert identity.certified != before
    kept = (kube.get(SECRETS, SYSTEM, GATEWAY_KEY) or {})["data"]
    assert base64.b64decode(kept["ca.pem"]).decode() == identity.certified.authority
