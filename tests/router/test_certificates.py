"""A certificate that cannot serve is refused with its reason."""

from datetime import UTC, datetime, timedelta

import pytest

from ferryml.domain.errors import Refused
from ferryml.router.certificates import bundle, check_certificate, demand_tls
from ferryml.settings import RouterSettings
from https_play import Authority

NOW = datetime.now(UTC)


@pytest.fixture
def pair(tmp_path):
    chain, key = Authority(tmp_path, "one", ["ml.example.org", "*.models.example.org"]).server_files()
    return chain.read_bytes(), key.read_bytes()


def test_a_good_pair(pair, tmp_path):
    for name in ("", "ML.example.org", "a.models.example.org", "127.0.0.1"):
        check_certificate(*pair, name, NOW)
    authority = (tmp_path / "one.pem").read_bytes()
    check_certificate(pair[0] + authority, pair[1], "", NOW)


@pytest.mark.parametrize("name", ["other.example.org", "models.example.org", "a.b.models.example.org", "127.0.0.2"])
def test_another_name(pair, name):
    with pytest.raises(Refused, match="is not for"):
        check_certificate(*pair, name, NOW)


def test_another_key_another_chain_and_no_pem(pair, tmp_path):
    (tmp_path / "x").mkdir()
    other = Authority(tmp_path / "x", "other")
    chain, key = (path.read_bytes() for path in other.server_files())
    with pytest.raises(Refused, match="does not belong"):
        check_certificate(pair[0], key, "", NOW)
    with pytest.raises(Refused, match="chain"):
        check_certificate(pair[0] + chain, pair[1], "", NOW)
    with pytest.raises(Refused, match="not PEM"):
        check_certificate(b"x", key, "", NOW)
    with pytest.raises(Refused, match="not PEM"):
        check_certificate(pair[0], b"x", "", NOW)


def test_time(pair):
    with pytest.raises(Refused, match="expired on"):
        check_certificate(*pair, "", NOW + timedelta(days=5000))
    with pytest.raises(Refused, match="not valid before"):
        check_certificate(*pair, "", NOW - timedelta(days=5000))
    soon = [check_certificate(*pair, "", NOW + timedelta(hours=hours)) for hours in (0, 1)]
    assert all(not warnings or "expires on" in warnings[0] for warnings in soon)


def test_one_text_for_haproxy(tmp_path):
    chain, key = Authority(tmp_path, "one").server_files()
    text = bundle(RouterSettings(tls_cert=chain, tls_key=key))
    assert text.index("BEGIN CERTIFICATE") < text.index("BEGIN PRIVATE KEY")
    assert bundle(RouterSettings()) == ""


def test_keys_in_the_clear_need_loopback_or_a_word():
    for host in ("127.0.0.1", "::1", "localhost"):
        demand_tls(RouterSettings(), host)
    demand_tls(RouterSettings(allow_insecure=True), "0.0.0.0")
    for host in ("0.0.0.0", "::", "example.org", "10.0.0.1"):
        with pytest.raises(Refused, match="in the clear"):
            demand_tls(RouterSettings(), host)


def test_without_keys_only_on_this_machine():
    demand_tls(RouterSettings(keyless=True), "127.0.0.1")
    with pytest.raises(Refused, match="without keys"):
        demand_tls(RouterSettings(keyless=True, allow_insecure=True), "0.0.0.0")
