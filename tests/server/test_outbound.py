"""The way out, with real sockets: where it does not go, and that nobody there holds it up."""

import socket
import threading
import time

import pytest

from ferryml.domain.addresses import networks
from ferryml.domain.errors import Forbidden, Refused, Unavailable
from ferryml.server.outbound import Outbound, from_settings
from ferryml.settings.server import ServerSettings
from https_play import Authority, HttpsServer
from sockets_play import Raw, Tunnel, head, trickle
from web_play import Web

HERE = networks("127.0.0.0/8")
BODY = b'{"a": 1}'


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def web():
    made = Web()
    made.default = (204, {}, b"")
    yield made
    made.close()


@pytest.fixture
def raw():
    made = []

    def start(answer, kind=Raw):
        made.append(kind(answer) if kind is Raw else kind())
        return made[-1]

    yield start
    for one in made:
        one.close()


def post(url, allowed=HERE, **changes):
    return Outbound(allowed, **changes).post(url, BODY, {"webhook-id": "evt_1"})


def test_what_is_posted_arrives(web):
    web.default = (201, {"Retry-After": "7"}, b"  thank\n you \x00\xff")
    said = post(f"{web.url}/hook?k=1")
    assert (said.status, said.said, said.retry_after_s) == (201, "thank you \ufffd", 7)
    assert (web.asked[0][0], web.bodies) == ("/hook?k=1", [BODY])


def test_headers_are_ours_and_no_more(raw):
    heads = []

    def answer(caller):
        heads.append(head(caller).lower())
        caller.sendall(b"HTTP/1.1 204 x\r\n\r\n")

    post(raw(answer).url)
    names = {line.partition(":")[0] for line in heads[0].splitlines()[1:]}
    assert names == {"host", "user-agent", "accept-encoding", "webhook-id", "content-length"}


# Where it does not go


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "0.0.0.0"])
def test_this_machine_is_not_connected_to_however_it_is_written(raw, host):
    server = raw(lambda caller: None)
    with pytest.raises(Forbidden, match="posts nothing to") as caught:
        post(f"http://{host}:{server.port}/secret", allowed=())
    assert "webhook_networks" in caught.value.hint
    assert "secret" not in str(caught.value.as_dict())
    assert server.only_mine()


def names(monkeypatch, *addresses):
    asked = []

    def resolve(host, port, *args, **options):
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return asked


@pytest.mark.parametrize("inside", ["10.0.0.1", "169.254.169.254", "192.168.0.1", "100.100.100.200"])
def test_a_name_that_leads_inside_is_refused_even_beside_a_public_address(monkeypatch, inside):
    names(monkeypatch, "93.184.216.34", inside)
    with pytest.raises(Forbidden, match=inside):
        post("https://hooks.example/x")


def test_a_name_is_resolved_once_and_that_address_is_used(monkeypatch, web):
    asked = names(monkeypatch, "127.0.0.1")
    connect = socket.create_connection
    went = []

    def connected(address, *args, **options):
        went.append(address)
        return connect(address, *args, **options)

    monkeypatch.setattr(socket, "create_connection", connected)
    assert post(f"http://hooks.example:{web.url.rpartition(':')[2]}/x").status == 204
    assert (asked.count("hooks.example"), went[0][0]) == (1, "127.0.0.1")


def test_redirects_are_not_followed(web):
    web.answers["/away"] = (302, {"Location": f"{web.url}/inside"}, b"")
    assert post(f"{web.url}/away").status == 302
    assert [path for path, _ in web.asked] == ["/away"]


# Nobody holds it up


def refused(url, code, **changes):
    begun = time.monotonic()
    with pytest.raises(Unavailable) as caught:
        post(url, **changes)
    assert caught.value.code == code
    assert "secret" not in str(caught.value.as_dict())
    return time.monotonic() - begun


@pytest.mark.parametrize(
    "answer", [lambda caller: threading.Event().wait(5), trickle(b"H"), trickle(b"x: y\r\n", b"HTTP/1.1 200 x\r\n"),
               trickle(b"z", b"HTTP/1.1 200 x\r\ncontent-length: 9999\r\n\r\n")],
    ids=["silent", "status", "headers", "body"],
)  # fmt: skip
def test_the_whole_answer_has_one_time_limit(raw, answer):
    assert refused(f"{raw(answer).url}/secret", "Unavailable", timeout_s=0.3) < 1.5


def test_only_the_beginning_of_an_answer_is_read(raw):
    sent = []

    def answer(caller):
        head(caller)
        caller.sendall(b"HTTP/1.1 200 x\r\n\r\n")
        for _ in range(2000):
            caller.sendall(b"z" * 65536)
            sent.append(65536)

    said = post(raw(answer).url, timeout_s=2)
    assert said.said == "z" * 300
    assert sum(sent) < 20_000_000


@pytest.mark.parametrize("answer", [lambda caller: None, lambda caller: caller.sendall(b"nonsense\r\n\r\n")])
def test_what_is_no_http_is_said(raw, answer):
    refused(f"{raw(answer).url}/secret", "Unavailable")


def test_what_a_stranger_says_is_in_no_error(raw):
    server = raw(lambda caller: (head(caller), caller.sendall(b"SSH-2.0-secret\r\n\r\n")))
    refused(f"{server.url}/", "Unavailable")


def test_nobody_there(raw):
    server = raw(lambda caller: None)
    server.close()
    refused(f"{server.url}/secret", "Unavailable")


def test_a_name_that_nobody_knows(monkeypatch):
    def unknown(*args, **options):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    refused("https://hooks.example/secret", "Unavailable")


# TLS


@pytest.fixture
def secure(tmp_path):
    authority = Authority(tmp_path, "own", ["hooks.example"])
    server = HttpsServer(*authority.server_files())
    yield server, authority.bundle
    server.close()


def test_certificates_are_verified(secure, tmp_path):
    server, bundle = secure
    refused(f"{server.url}/secret", "TlsFailed")
    assert post(f"{server.url}/x", ca_bundle=bundle).status == 501, "it knows no POST, but it was asked"
    other = Authority(tmp_path, "other").bundle
    refused(f"{server.url}/secret", "TlsFailed", ca_bundle=other)


def test_a_certificate_of_another_name_is_refused(secure, monkeypatch):
    server, bundle = secure
    names(monkeypatch, "127.0.0.1")
    port = server.url.rpartition(":")[2]
    assert post(f"https://hooks.example:{port}/x", ca_bundle=bundle).status == 501
    refused(f"https://else.example:{port}/secret", "TlsFailed", ca_bundle=bundle)


# Proxies


def test_the_environment_s_proxy_is_used_for_plain_http(web, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", web.url.replace("://", "://user:word@"))
    assert post("http://hooks.example/x", allowed=()).status == 204
    assert web.asked[0][0] == "http://hooks.example/x"


def test_https_goes_through_a_tunnel_that_cannot_read_it(secure, raw, monkeypatch):
    server, bundle = secure
    proxy = raw(None, Tunnel)
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
    port = server.url.rpartition(":")[2]
    assert post(f"https://hooks.example:{port}/secret", allowed=(), ca_bundle=bundle).status == 501
    assert proxy.asked[0].startswith(f"CONNECT hooks.example:{port} ")
    assert "secret" not in proxy.asked[0]


def test_no_proxy_is_kept_to(web, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert post(f"{web.url}/x").status == 204


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "a.localhost", "127.1", "0x7f000001", "[::1]", "10.0.0.1"])
def test_behind_a_proxy_no_address_of_ours_is_named(web, monkeypatch, host):
    monkeypatch.setenv("HTTP_PROXY", web.url)
    with pytest.raises(Forbidden):
        post(f"http://{host}/x", allowed=())
    assert web.asked == []


def test_a_proxy_that_refuses_is_said(web, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", web.url)
    refused("https://hooks.example/secret", "ProxyFailed")


# Settings


def test_as_the_settings_say(web, tmp_path):
    assert from_settings(ServerSettings(webhook_networks="127.0.0.1/32")).post(web.url, b"", {}).status == 204
    with pytest.raises(Forbidden):
        from_settings(ServerSettings()).post(web.url, b"", {})
    wrong = tmp_path / "ca.pem"
    wrong.write_text("nothing")
    with pytest.raises(Refused, match=r"ca\.pem"):
        from_settings(ServerSettings(webhook_ca_bundle=wrong))
    with pytest.raises(ValueError, match="intranet"):
        ServerSettings(webhook_networks="intranet")
