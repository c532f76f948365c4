"""`Kube` over HTTP: plain requests to the API server, because what we need of it is small and must be exact."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx

from ferryml.backends.kubernetes import kinds
from ferryml.backends.kubernetes.access import Access, auth_of
from ferryml.backends.kubernetes.kinds import SERVICE_ACCOUNTS, TOKEN_REVIEWS, Kind
from ferryml.backends.kubernetes.kube import (
    FIELD_MANAGER,
    Change,
    Expired,
    Listing,
    Manifest,
    Propagation,
    Reviewed,
    name_of,
    namespace_of,
)
from ferryml.backends.kubernetes.recovery import Recovery
from ferryml.backends.kubernetes.trouble import refusal, unreachable
from ferryml.domain.errors import Conflict, NotFound

PAGE = 500
WATCH_S = 290
"""The API server ends a watch after this time; the next one goes on where it stood."""
SILENCE_S = 330.0
LOG_LIMIT = 10 << 20
LINES = "application/json-patch+json"
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
KEEP_ALIVE = [
    # a watch only listens: without probes a peer that vanished would be waited for till the read timeout
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPIDLE", 4), 15),
    (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPINTVL", 5), 5),
    (socket.IPPROTO_TCP, getattr(socket, "TCP_KEEPCNT", 6), 3),
]


class HttpKube:
    """See `Kube`. Safe between threads.

    Args:
        fence: called before each write; raises when this program must not write (any more).
        transport: instead of the network.
    """

    def __init__(
        self, access: Access, fence: Callable[[], None] = lambda: None, timeout_s: float = 30, connect_s: float = 10,
        transport: httpx.BaseTransport | None = None,
    ) -> None:  # fmt: skip
        self._fence = fence
        self._timeout = httpx.Timeout(timeout_s, connect=connect_s)
        self._client = httpx.Client(
            base_url=access.url,
            auth=auth_of(access),
            timeout=self._timeout,
            transport=transport or _network(access),
            trust_env=False,
            headers={"User-Agent": "ferry-agent"},
        )
        self._recovery = Recovery()

    def fenced(self, fence: Callable[[], None]) -> HttpKube:
        """The same connections, with a fence before each write."""
        other = object.__new__(HttpKube)
        other._fence, other._timeout, other._client = fence, self._timeout, self._client
        other._recovery = self._recovery
        return other

    def close(self) -> None:
        self._client.close()

    def get(self, kind: Kind, namespace: str, name: str) -> Manifest | None:
        try:
            return self._json("GET", kind.path(namespace, name))
        except NotFound:
            return None

    def list(self, kind: Kind, namespace: str = "", labels: str = "", fields: str = "") -> Listing:
        items: list[Manifest] = []
        params = _chosen(labels, fields) | {"limit": str(PAGE)}
        while True:
            page = self._json("GET", kind.path(namespace), params=params)
            items += page.get("items") or ()
            if not page["metadata"].get("continue"):
                break
            params["continue"] = page["metadata"]["continue"]
        for item in items if kind.kind else ():
            # lists leave out what all their items share
            item.setdefault("kind", kind.kind)
            item.setdefault("apiVersion", kind.api_version)
        return Listing(tuple(items), str(page["metadata"].get("resourceVersion", "")))

    def watch(self, kind: Kind, namespace: str = "", since: str = "", labels: str = "", fields: str = "") -> HttpWatch:
        params = _chosen(labels, fields) | {
            "watch": "true", "allowWatchBookmarks": "true", "timeoutSeconds": str(WATCH_S), "resourceVersion": since,
        }  # fmt: skip
        request = self._client.build_request(
            "GET", kind.path(namespace), params=params,
            timeout=httpx.Timeout(self._timeout.read, connect=self._timeout.connect, read=SILENCE_S),
        )  # fmt: skip
        return HttpWatch(self._client, request, self._recovery)

    def apply(self, body: Manifest) -> Manifest:
        params = {"fieldManager": FIELD_MANAGER, "force": "true", "fieldValidation": "Strict"}
        return self._write("PATCH", _place(body), body, params, APPLY)

    def create(self, kind: Kind, body: Manifest) -> Manifest:
        params = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
        return self._write("POST", kind.path(namespace_of(body)), body, params)

    def replace(self, kind: Kind, body: Manifest) -> Manifest:
        params = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
        return self._write("PUT", kind.path(namespace_of(body), name_of(body)), body, params)

    def patch_status(self, kind: Kind, namespace: str, name: str, status: Mapping[str, Any], uid: str = "") -> Manifest:
        same = [{"op": "test", "path": "/metadata/uid", "value": uid}] if uid else []
        change = [*same, {"op": "add", "path": "/status", "value": status}]
        return self._write("PATCH", kind.path(namespace, name, "status"), change, _STRICT, LINES)

    def patch(self, kind: Kind, namespace: str, name: str, change: Mapping[str, Any]) -> Manifest:
        return self._write("PATCH", kind.path(namespace, name), change, _STRICT, MERGE)

    def delete(
        self, kind: Kind, namespace: str, name: str, propagation: Propagation = "Background",
        grace_s: int | None = None, uid: str = "",
    ) -> bool:  # fmt: skip
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        if grace_s is not None:
            options["gracePeriodSeconds"] = grace_s
        if uid:
            options["preconditions"] = {"uid": uid}
        try:
            self._write("DELETE", kind.path(namespace, name), options, {})
        except NotFound:
            return False
        except Conflict:
            if uid:
                return False
            raise
        return True

    def pod_log(self, namespace: str, pod: str, container: str, tail: int = 0, previous: bool = False) -> bytes:
        return self._log(namespace, pod, {"container": container}, tail, previous)

    def pod_lines(
        self, namespace: str, pod: str, container: str, since: str = "", tail: int = 0, previous: bool = False
    ) -> bytes:
        params = {"container": container, "timestamps": "true", **({"sinceTime": since} if since else {})}
        return self._log(namespace, pod, params, tail, previous)

    def _log(self, namespace: str, pod: str, params: dict[str, str], tail: int, previous: bool) -> bytes:
        params["limitBytes"] = str(LOG_LIMIT)
        if tail:
            params["tailLines"] = str(tail)
        if previous:
            params["previous"] = "true"
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
        response = self._send(self._client.build_request("GET", path, params=params))
        if response.status_code in (400, 404):
            # no such pod any more, or its container has not begun
            return b""
        self._recovery.check(response)
        return response.content

    def review_token(self, token: str, audience: str) -> Reviewed | None:
        body = {
            "apiVersion": TOKEN_REVIEWS.api_version, "kind": TOKEN_REVIEWS.kind,
            "spec": {"token": token, "audiences": [audience]},
        }  # fmt: skip
        status = self._json("POST", TOKEN_REVIEWS.path(), body).get("status") or {}
        audiences = tuple(status.get("audiences") or ())
        if not status.get("authenticated") or audience not in audiences:
            return None
        user = status["user"]
        extra = {key: tuple(values) for key, values in (user.get("extra") or {}).items()}
        return Reviewed(str(user["username"]), audiences, extra)

    def account_token(self, namespace: str, account: str, audience: str) -> str:
        """A short-lived token of a service account: what kubelet does for pods, for programs outside."""
        body = {
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": {"audiences": [audience], "expirationSeconds": 3600},
        }  # fmt: skip
        path = SERVICE_ACCOUNTS.path(namespace, account, "token")
        return str(self._json("POST", path, body)["status"]["token"])

    def version(self) -> str:
        return str(self._json("GET", "/version").get("gitVersion", "")).removeprefix("v")

    def _write(
        self, method: str, path: str, body: Any, params: Mapping[str, str], content: str = "application/json"
    ) -> Manifest:
        self._fence()
        return self._json(method, path, body, params, content)

    def _json(
        self, method: str, path: str, body: Any = None, params: Mapping[str, str] | None = None,
        content: str = "application/json",
    ) -> Manifest:  # fmt: skip
        request = self._client.build_request(
            method, path, params=params,
            content=None if body is None else json.dumps(body, separators=(",", ":")).encode(),
            headers={"Content-Type": content} if body is not None else None,
        )  # fmt: skip
        response = self._send(request)
        self._recovery.check(response)
        answer: Manifest = response.json()
        return answer

    def _send(self, request: httpx.Request) -> httpx.Response:
        try:
            return self._client.send(request)
        except httpx.HTTPError as error:
            self._recovery.failed()
            raise unreachable(str(request.url.copy_with(path="/", query=None)), error) from error


class HttpWatch:
    """See `Watch`."""

    def __init__(self, client: httpx.Client, request: httpx.Request, recovery: Recovery) -> None:
        self._client, self._request, self._recovery = client, request, recovery
        self._response: httpx.Response | None = None
        self._closed = threading.Event()

    def __iter__(self) -> Iterator[Change]:
        try:
            response = self._client.send(self._request, stream=True)
            self._response = response
            if response.is_error:
                response.read()
            if response.status_code == 410:
                raise Expired
            self._recovery.check(response)
            for line in response.iter_lines():
                if self._closed.is_set():
                    return
                if line:
                    yield _change(json.loads(line))
        except httpx.HTTPError as error:
            if not self._closed.is_set():
                self._recovery.failed()
                raise unreachable(str(self._request.url.copy_with(path="/", query=None)), error) from error
        finally:
            if self._response is not None:
                self._response.close()

    def close(self) -> None:
        self._closed.set()
        stream = self._response.extensions.get("network_stream") if self._response is not None else None
        raw = stream.get_extra_info("socket") if stream is not None else None
        if raw is not None:
            try:
                raw.shutdown(socket.SHUT_RDWR)
            except OSError:
                return


def _network(access: Access) -> httpx.HTTPTransport:
    return httpx.HTTPTransport(
        verify=access.tls,
        proxy=access.proxy or None,
        trust_env=False,
        socket_options=KEEP_ALIVE,
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=16),
    )


_STRICT = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}


def _change(event: Manifest) -> Change:
    body = event["object"]
    match event["type"]:
        case "ADDED":
            return Change("added", body)
        case "MODIFIED":
            return Change("modified", body)
        case "DELETED":
            return Change("deleted", body)
        case "BOOKMARK":
            return Change("mark", body)
    if body.get("code") == 410:
        raise Expired
    raise refusal(int(body.get("code") or 500), body)


def _chosen(labels: str, fields: str) -> dict[str, str]:
    named = {"labelSelector": labels, "fieldSelector": fields}
    return {key: value for key, value in named.items() if value}


def _place(body: Manifest) -> str:
    """The path of an object from its own words; the API's plural is found among the kinds that we know."""
    group, _, version = str(body["apiVersion"]).rpartition("/")
    known = _KINDS[group, version, str(body["kind"])]
    return known.path(namespace_of(body), name_of(body))


def _all_kinds() -> dict[tuple[str, str, str], Kind]:
    found = [value for value in vars(kinds).values() if isinstance(value, Kind)]
    return {(one.group, one.version, one.kind): one for one in found}


_KINDS = _all_kinds()
