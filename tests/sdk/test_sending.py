"""What both clients share of HTTP."""

import httpx
import pytest

from ferryml.domain.errors import Refused
from ferryml.sdk.flow import Call
from ferryml.sdk.sending import TRIES, Target, may_repeat, opened, pause_before, request_of, unreachable


def test_loopback_never_goes_through_a_proxy():
    assert Target("http://127.0.0.1:1").options()["trust_env"] is False
    assert "trust_env" not in Target("https://ferry.example.com").options()
    options = Target("https://ferry.example.com", "t", proxy="http://p:1").options()
    assert (options["proxy"], options["trust_env"]) == ("http://p:1", False)
    assert options["headers"]["Authorization"] == "Bearer t"


def test_a_bad_bundle_is_refused(tmp_path):
    (tmp_path / "ca.pem").write_text("no certificate")
    for bundle in (tmp_path / "ca.pem", tmp_path / "absent"):
        with pytest.raises(Refused) as caught:
            Target("https://x", ca_bundle=bundle).options()
        assert caught.value.code == "TlsFailed"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (httpx.ConnectError("refused"), "ServerUnreachable"),
        (httpx.ReadTimeout(""), "ServerUnreachable"),
        (httpx.ProxyError("407"), "ProxyFailed"),
        (httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED]"), "TlsFailed"),
    ],
)
def test_failures_in_words(error, code):
    assert unreachable("http://x", error).code == code


@pytest.mark.parametrize(
    ("url", "proxy", "code"),
    [
        ("https://ferry.example.com", None, "ProxyFailed"),
        ("https://ferry.example.com", "", "ServerUnreachable"),
        ("http://ferry.example.com", "http://me:secret@proxy:3128", "ProxyFailed"),
        ("https://near.example.org", None, "ServerUnreachable"),
        ("https://127.0.0.1:1", None, "ServerUnreachable"),
    ],
)
def test_a_proxy_that_refuses_is_told_from_the_server(monkeypatch, url, proxy, code):
    for name, value in {"https_proxy": "http://me:secret@proxy:3128", "no_proxy": ".example.org"}.items():
        monkeypatch.setenv(name, value)
        monkeypatch.delenv(name.upper(), raising=False)
    said = unreachable(url, httpx.ConnectError("refused"), proxy)
    assert (said.code, "proxy:3128" in said.message) == (code, code == "ProxyFailed")
    assert "secret" not in said.message


def test_only_what_is_repeatable_is_repeated():
    assert may_repeat(Call("GET", "/"), 1)
    assert not may_repeat(Call("GET", "/"), TRIES)
    assert not may_repeat(Call("POST", "/", repeatable=False), 1)
    assert pause_before(2) == 2 * pause_before(1)


def test_a_part_made_again_is_written_over(tmp_path):
    file = tmp_path / "part"
    file.write_bytes(b"0123XXXX")
    with opened(httpx.Response(206, headers={"Content-Range": "bytes 4-7/8"}), str(file)) as out:
        out.write(b"4567")
    assert file.read_bytes() == b"01234567"
    with opened(httpx.Response(200), str(file)) as out:
        out.write(b"new")
    assert file.read_bytes() == b"new"


def test_an_absolute_address_is_not_below_the_server():
    with httpx.Client(base_url="http://server", trust_env=False) as http:
        assert request_of(http, Call("GET", "/x", {"a": 1})).url == "http://server/x?a=1"
        assert request_of(http, Call("POST", "http://score/y")).url == "http://score/y"
