"""The scoring certificate: served when it is good, followed when it is renewed, kept when the new one is wrong."""

from __future__ import annotations

import base64
import threading

import pytest

from ferryml.bootstrap import router_certificate
from ferryml.bootstrap.dice import SystemDice
from ferryml.bootstrap.router_certificate import Certified, KeyPair, pair_of_files, pair_of_secret
from ferryml.domain.errors import Refused
from ferryml.settings import RouterSettings
from https_play import Authority
from router_load import TLS_NAME, eventually


def a_pair(folder, name="one") -> KeyPair:
    chain, key = Authority(folder, name, names=(TLS_NAME,)).server_files()
    return KeyPair(chain.read_text(), key.read_text())


def a_secret(**entries: str) -> dict:
    return {
        "data": {name.replace("_", "."): base64.b64encode(text.encode()).decode() for name, text in entries.items()}
    }


class PlaySidecar:
    def __init__(self) -> None:
        self.served, self.refuses = [], 0

    def renew_certificate(self, pem: str) -> None:
        if self.refuses:
            self.refuses -= 1
            raise Refused("TlsFailed", "no")
        self.served.append(pem)


def test_both_ways_of_naming_the_entries(tmp_path):
    pair = a_pair(tmp_path)
    for secret in (a_secret(tls_crt=pair.chain, tls_key=pair.key), a_secret(cert_pem=pair.chain, key_pem=pair.key)):
        assert pair_of_secret(secret, "s") == pair
    for wrong in (a_secret(tls_crt=pair.chain), {}, None):
        with pytest.raises(Refused, match="Secret s"):
            pair_of_secret(wrong, "s")


def test_files(tmp_path):
    chain, key = Authority(tmp_path, "one").server_files()
    assert pair_of_files(RouterSettings(tls_cert=chain, tls_key=key)) == KeyPair(chain.read_text(), key.read_text())
    assert pair_of_files(RouterSettings()) is None


def test_it_waits_for_one_that_is_good(tmp_path, monkeypatch):
    monkeypatch.setattr(router_certificate, "LOOK_S", 0.01)
    good, other = a_pair(tmp_path), a_pair(tmp_path, "two")
    pairs = [KeyPair(good.chain, other.key), KeyPair("", ""), good]
    certified = Certified(lambda: pairs.pop(0), TLS_NAME, tmp_path / "edge.pem", SystemDice())
    certified.begin(threading.Event())
    assert (tmp_path / "edge.pem").read_text() == good.bundle
    assert oct((tmp_path / "edge.pem").stat().st_mode)[-3:] == "600"


def test_without_tls_there_is_nothing_to_wait_for(tmp_path):
    Certified(lambda: None, "", tmp_path / "edge.pem", SystemDice()).begin(threading.Event())
    assert not (tmp_path / "edge.pem").exists()


def test_a_name_that_it_is_not_for(tmp_path):
    certified = Certified(lambda: a_pair(tmp_path), "other.example", tmp_path / "edge.pem", SystemDice())
    with pytest.raises(Refused, match=r"not for other\.example"):
        certified.look()


def test_renewals_are_followed_until_they_are_served(tmp_path, monkeypatch):
    monkeypatch.setattr(router_certificate, "LOOK_S", 0.01)
    first, second = a_pair(tmp_path), a_pair(tmp_path, "two")
    now = [first]
    certified, sidecar, over = (
        Certified(lambda: now[0], "", tmp_path / "e", SystemDice()),
        PlaySidecar(),
        threading.Event(),
    )
    certified.begin(over)
    sidecar.refuses = 2
    thread = threading.Thread(target=certified.follow, args=(sidecar, over))
    thread.start()
    now[0] = KeyPair(first.chain, second.key)
    now[0] = second
    eventually(lambda: sidecar.served == [second.bundle])
    now[0] = KeyPair("damaged", second.key)
    over.wait(0.05)
    over.set()
    thread.join(5)
    assert sidecar.served == [second.bundle]
