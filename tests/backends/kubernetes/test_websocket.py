"""RFC 6455, the client's half, against the server's."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from ferryml.backends.kubernetes.websocket import CLOSE, PING, PONG, HandshakeError, WebSocket, connect
from ferryml.domain.errors import Unavailable
from websocket_play import PlayServerSocket

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")


@pytest.fixture
def pair() -> Iterator[tuple[WebSocket, PlayServerSocket]]:
    server = PlayServerSocket()
    client = WebSocket(connect("127.0.0.1", server.port, None))
    client.shake_hands("here", "/exec?command=sh", {"Authorization": "Bearer t"}, PROTOCOLS)
    assert server.ready.wait(5)
    yield client, server
    client.close()
    server.close()


def test_they_agree(pair: tuple[WebSocket, PlayServerSocket]) -> None:
    client, server = pair
    assert client.protocol == "v5.channel.k8s.io"
    assert server.request.startswith("GET /exec?command=sh HTTP/1.1")
    assert server.header("Authorization") == "Bearer t"
    assert server.header("Sec-WebSocket-Protocol") == ", ".join(PROTOCOLS)


@pytest.mark.parametrize("size", [0, 5, 125, 126, 65_535, 65_536, 200_000])
def test_messages_of_every_length(pair: tuple[WebSocket, PlayServerSocket], size: int) -> None:
    client, server = pair
    data = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    client.send(data)
    assert server.hear() == (2, data)
    server.say(data)
    assert client.read() == data


def test_pieces_are_put_together_and_pings_answered(pair: tuple[WebSocket, PlayServerSocket]) -> None:
    client, server = pair
    server.say(b"ab", 2, final=False)
    server.say(b"are you there", PING)
    server.say(b"cd", 0)
    assert client.read() == b"abcd"
    assert server.hear() == (PONG, b"are you there")
    server.say(b"\x03\xe8", CLOSE)
    assert client.read() is None


def test_what_breaks_is_said(pair: tuple[WebSocket, PlayServerSocket]) -> None:
    client, server = pair
    server.say(b"x", 2, final=False)
    server.close()
    with pytest.raises(Unavailable):
        client.read()


def test_a_refusal_has_its_status_and_words() -> None:
    server = PlayServerSocket(refuse=(403, b'{"message": "no"}'))
    client = WebSocket(connect("127.0.0.1", server.port, None))
    with pytest.raises(HandshakeError) as caught:
        client.shake_hands("here", "/", {}, PROTOCOLS)
    assert (caught.value.status, caught.value.body) == (403, b'{"message": "no"}')
    client.close()
    server.close()


def test_nobody_there() -> None:
    with socket.socket() as bound:  # and nobody listens
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(Unavailable, match="does not answer"):
            connect("127.0.0.1", bound.getsockname()[1], None)
