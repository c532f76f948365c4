"""Shells in pods, over the protocol that the API server speaks."""

from __future__ import annotations

import json
import ssl
from typing import Any

import pytest

from ferryml.backends.kubernetes.access import Access
from ferryml.backends.kubernetes.shells import INDEX, KubeShell, KubeShells
from ferryml.domain.connection import ConnectionAsk, Frame, Terminal, exit_of
from ferryml.domain.errors import Conflict, FerryError, Forbidden, Refused, Unavailable
from websocket_play import PlayServerSocket

SHELL = ConnectionAsk()


def a_pod(index: int = 0, phase: str = "Running") -> dict[str, Any]:
    meta = {"name": f"j-{index}", "namespace": "team", "annotations": {INDEX: str(index)}}
    return {"metadata": meta, "status": {"phase": phase}}


def opened(server: PlayServerSocket, ask: ConnectionAsk = SHELL, **access: Any) -> KubeShell:
    known = Access(f"http://127.0.0.1:{server.port}", ssl.create_default_context(), lambda: "secret", **access)
    return KubeShells(known, lambda uid, attempt: [a_pod(0), a_pod(1)]).open("job.w.j", 1, ask)


def status(code: int) -> bytes:
    causes = [{"reason": "ExitCode", "message": str(code)}]
    said = {"status": "Failure", "reason": "NonZeroExitCode", "details": {"causes": causes}} if code else {}
    return b"\x03" + json.dumps(said or {"status": "Success"}).encode()


def test_a_command_in_the_users_container() -> None:
    server = PlayServerSocket()
    shell = opened(server, ConnectionAsk(command=("echo", "a b"), rank=1))
    assert server.ready.wait(5)
    first = server.request.split("\r\n")[0]
    assert first.startswith(
        "GET /api/v1/namespaces/team/pods/j-1/exec?command=echo&command=a+b&container=main&stdin=true"
    )
    assert "stderr=true" in first
    assert server.header("Authorization") == "Bearer secret"
    server.say(b"\x01")
    server.say(b"\x01out")
    server.say(b"\x02err")
    server.say(status(7))
    assert [shell.read(), shell.read()] == [Frame("data", b"out"), Frame("errors", b"err")]
    assert [exit_of(shell.read())[0], exit_of(shell.read())[0]] == [7, 7]
    shell.write(b"in")
    shell.end_input()
    assert [server.hear(), server.hear()] == [(2, b"\x00in"), (2, b"\xff\x00")]
    shell.close()
    server.close()


def test_a_terminal_has_a_size() -> None:
    server = PlayServerSocket(protocol="v4.channel.k8s.io")
    shell = opened(server, ConnectionAsk(terminal=Terminal(rows=3, columns=9)))
    assert server.ready.wait(5)
    assert "stderr=false&tty=true" in server.request
    assert server.hear() == (2, b'\x04{"Width": 9, "Height": 3}')
    shell.end_input()
    shell.write(b"x")
    assert server.hear() == (2, b"\x00x"), "an older cluster knows no end of input"
    server.say(status(0))
    assert exit_of(shell.read()) == (0, "")
    shell.close()
    server.close()


def test_a_connection_that_breaks_is_an_end() -> None:
    server = PlayServerSocket()
    shell = opened(server)
    assert server.ready.wait(5)
    server.close()
    code, reason = exit_of(shell.read())
    assert (code, bool(reason)) == (255, True)
    shell.write(b"into the void")
    shell.close()


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        ((403, b'{"message": "pods/exec is forbidden"}'), Forbidden, "pods/exec is forbidden"),
        ((404, b"{}"), Conflict, "takes no shell"),
        ((500, b"oh"), Unavailable, "answers 500: oh"),
    ],
)
def test_refusals_are_told(answer: tuple[int, bytes], kind: type[FerryError], words: str) -> None:
    server = PlayServerSocket(refuse=answer)
    with pytest.raises(kind, match=words):
        opened(server)
    server.close()


def test_no_pod_and_no_way() -> None:
    access = Access("http://127.0.0.1:1", ssl.create_default_context(), None)
    pending = KubeShells(access, lambda uid, attempt: [a_pod(phase="Pending")])
    with pytest.raises(Conflict, match="rank 0"):
        pending.open("job.w.j", 1, ConnectionAsk())
    server = PlayServerSocket()
    with pytest.raises(Refused, match="proxy"):
        opened(server, proxy="http://proxy:3128")
    server.close()
