"""Shells in pods: `exec` of the API server, over its WebSocket, into the user's container."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

from ferryml.backends.kubernetes.access import Access
from ferryml.backends.kubernetes.kube import Manifest, annotations_of, name_of, namespace_of
from ferryml.backends.kubernetes.websocket import HandshakeError, WebSocket, connect
from ferryml.compile.kubernetes.pods import MAIN
from ferryml.domain.connection import ConnectionAsk, Frame, Terminal, exit_frame
from ferryml.domain.errors import Conflict, Forbidden, Refused, Unavailable

V5, V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"
STDIN, STDOUT, STDERR, ERROR, RESIZE, HALF_CLOSE = 0, 1, 2, 3, 4, 255
INDEX = "batch.kubernetes.io/job-completion-index"
SHELL = ("/bin/sh", "-c", "command -v bash >/dev/null && exec bash; exec sh")
Pods = Callable[[str, int], list[Manifest]]


class KubeShells:
    """`agent.ports.Shells`.

    Args:
        pods: those of an attempt, from the caches.
    """

    def __init__(self, access: Access, pods: Pods) -> None:
        self._access, self._pods = access, pods

    def open(self, uid: str, attempt: int, ask: ConnectionAsk) -> KubeShell:
        """Raises Conflict(NotRunning), Forbidden(ClusterForbidden), Unavailable."""
        pod = self._pod(uid, attempt, ask.rank)
        said: list[tuple[str, str]] = [
            *(("command", word) for word in ask.command or SHELL), ("container", MAIN), ("stdin", "true"),
            ("stdout", "true"), ("stderr", str(ask.terminal is None).lower()),
            ("tty", str(ask.terminal is not None).lower()),
        ]  # fmt: skip
        path = f"/api/v1/namespaces/{namespace_of(pod)}/pods/{name_of(pod)}/exec?{urlencode(said)}"
        socket = self._connected(path)
        shell = KubeShell(socket)
        if ask.terminal is not None:
            shell.resize(ask.terminal)
        return shell

    def _pod(self, uid: str, attempt: int, rank: int) -> Manifest:
        found = [pod for pod in self._pods(uid, attempt) if annotations_of(pod).get(INDEX, "0") == str(rank)]
        running = [pod for pod in found if (pod.get("status") or {}).get("phase") == "Running"]
        if not running:
            raise Conflict("NotRunning", f"rank {rank} of the job has no pod that runs", "Look at it: ferry job show.")
        return running[0]

    def _connected(self, path: str) -> WebSocket:
        access, parts = self._access, urlsplit(self._access.url)
        if access.proxy:
            raise Refused("NotSupported", "this cluster is reached through a proxy, which shells do not pass")
        tls = access.tls if parts.scheme == "https" else None
        host, port = parts.hostname or "", parts.port or (443 if tls else 80)
        made = WebSocket(connect(host, port, tls))
        token = access.token() if access.token is not None else ""
        try:
            made.shake_hands(
                parts.netloc, f"{parts.path}{path}", {"Authorization": f"Bearer {token}"} if token else {}, (V5, V4)
            )
        except HandshakeError as error:
            made.close()
            raise _refused(error) from error
        except Unavailable:
            made.close()
            raise
        return made


class KubeShell:
    """`agent.ports.Shell`: the first byte of each message says which stream it belongs to."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._last: Frame | None = None
        self._closed = threading.Event()

    def read(self) -> Frame:
        while self._last is None:
            try:
                message = self._socket.read()
            except Unavailable as error:
                words = "the connection was closed" if self._closed.is_set() else error.message
                self._last = exit_frame(255, words)
                break
            if message is None:
                self._last = exit_frame(0)
            elif message[:1] == bytes([ERROR]) and len(message) > 1:
                self._last = _exit(message[1:])
            elif message[:1] in (b"\x01", b"\x02") and len(message) > 1:
                return Frame("data" if message[0] == STDOUT else "errors", message[1:])
        return self._last

    def write(self, data: bytes) -> None:
        self._send(bytes([STDIN]) + data)

    def resize(self, terminal: Terminal) -> None:
        size = {"Width": terminal.columns, "Height": terminal.rows}
        self._send(bytes([RESIZE]) + json.dumps(size).encode())

    def end_input(self) -> None:
        """Older clusters cannot be told; there the program ends with the connection."""
        if self._socket.protocol == V5:
            self._send(bytes([HALF_CLOSE, STDIN]))

    def close(self) -> None:
        if not self._closed.is_set():
            self._closed.set()
            self._socket.close()

    def _send(self, message: bytes) -> None:
        try:
            self._socket.send(message)
        except Unavailable:
            return  # who reads is told


def _exit(body: bytes) -> Frame:
    """The Status that ends a stream: the code is among its causes."""
    try:
        status: dict[str, Any] = json.loads(body)
    except ValueError:
        return exit_frame(255, "the cluster did not say how it ended")
    if status.get("status") == "Success":
        return exit_frame(0)
    causes = (status.get("details") or {}).get("causes") or ()
    code = next((str(each.get("message")) for each in causes if each.get("reason") == "ExitCode"), "")
    return exit_frame(int(code)) if code.isdigit() else exit_frame(255, str(status.get("message") or "it failed"))


def _refused(error: HandshakeError) -> Forbidden | Conflict | Unavailable:
    try:
        words = str(json.loads(error.body).get("message"))
    except (ValueError, AttributeError):
        words = error.body[:200].decode(errors="replace")
    if error.status in (401, 403):
        hint = "IT: set connect.enabled of the chart ferry-agent."
        return Forbidden("ClusterForbidden", f"the agent may not run programs in pods: {words}", hint)
    if error.status in (400, 404, 409):
        return Conflict("NotRunning", f"the pod takes no shell: {words}")
    return Unavailable("ClusterUnreachable", f"the cluster answers {error.status}: {words}")
