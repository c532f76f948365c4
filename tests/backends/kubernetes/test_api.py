"""What goes over the wire to an API server, and what its answers become; the rest is in the contract."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable

import httpx
import pytest

from ferryml.backends.kubernetes.access import Access
from ferryml.backends.kubernetes.api import HttpKube
from ferryml.backends.kubernetes.kinds import CONFIG_MAPS, INSTANCE_TYPES, PODS
from ferryml.backends.kubernetes.kube import Expired
from ferryml.domain.errors import Conflict, Forbidden, NotFound, Refused, Unavailable

Answer = Callable[[httpx.Request], httpx.Response]
ACCESS = Access("https://k:6443", ssl.create_default_context(), lambda: "token")
BODY = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "n"}, "data": {}}


def kube(answer: Answer, fence: Callable[[], None] = lambda: None) -> HttpKube:
    return HttpKube(ACCESS, fence, transport=httpx.MockTransport(answer))


def failing(status: int, **body: object) -> HttpKube:
    return kube(lambda request: httpx.Response(status, json={"kind": "Status", **body}))


def test_apply_is_strict_and_ours() -> None:
    seen: list[httpx.Request] = []
    kube(lambda request: (seen.append(request), httpx.Response(200, json=BODY))[1]).apply(BODY)
    (request,) = seen
    assert (request.method, request.url.path) == ("PATCH", "/api/v1/namespaces/n/configmaps/a")
    assert dict(request.url.params) == {"fieldManager": "ferry-operator", "force": "true", "fieldValidation": "Strict"}
    assert request.headers["Content-Type"] == "application/apply-patch+yaml"
    assert request.headers["Authorization"] == "Bearer token"


def test_every_write_asks_the_fence_and_no_read_does() -> None:
    def fence() -> None:
        raise Unavailable("NotLeader", "someone else leads")

    plain = kube(lambda request: httpx.Response(200, json=BODY))
    fenced = plain.fenced(fence)
    assert fenced.get(CONFIG_MAPS, "n", "a") == BODY
    writes: list[Callable[[], object]] = [
        lambda: fenced.apply(BODY),
        lambda: fenced.create(CONFIG_MAPS, BODY),
        lambda: fenced.replace(CONFIG_MAPS, BODY),
        lambda: fenced.patch(CONFIG_MAPS, "n", "a", {}),
        lambda: fenced.patch_status(CONFIG_MAPS, "n", "a", {}),
        lambda: fenced.delete(CONFIG_MAPS, "n", "a"),
    ]
    for write in writes:
        with pytest.raises(Unavailable, match="someone else leads"):
            write()
    assert plain.apply(BODY) == BODY


def test_long_lists_come_in_pages() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        page = request.url.params.get("continue", "first")
        items = [{"metadata": {"name": page}}]
        return httpx.Response(
            200,
            json={"metadata": {"continue": {"first": "second"}.get(page, ""), "resourceVersion": "7"}, "items": items},
        )

    found = kube(answer).list(INSTANCE_TYPES)
    assert [(one["metadata"]["name"], one["kind"]) for one in found.items] == [
        ("first", "InstanceType"), ("second", "InstanceType"),
    ]  # fmt: skip
    assert found.version == "7"


@pytest.mark.parametrize(
    ("status", "reason", "error", "code"),
    [
        (404, "NotFound", NotFound, "NotFound"),
        (409, "AlreadyExists", Conflict, "AlreadyExists"),
        (409, "Conflict", Conflict, "VersionConflict"),
        (403, "Forbidden", Forbidden, "ClusterForbidden"),
        (422, "Invalid", Refused, "ClusterRefused"),
        (401, "Unauthorized", Unavailable, "ClusterUnreachable"),
        (429, "TooManyRequests", Unavailable, "ClusterUnreachable"),
        (500, "InternalError", Unavailable, "ClusterUnreachable"),
    ],
)
def test_refusals_come_in_ferrys_words(status: int, reason: str, error: type[Exception], code: str) -> None:
    with pytest.raises(error) as raised:
        failing(status, reason=reason, message="because").apply(BODY)
    assert getattr(raised.value, "code", "") == code
    assert "because" in str(raised.value)


def test_an_answer_that_is_no_status_is_quoted() -> None:
    broken = kube(lambda request: httpx.Response(502, text="<html>bad gateway</html>"))
    with pytest.raises(Unavailable, match="bad gateway"):
        broken.get(CONFIG_MAPS, "n", "a")


def test_no_answer_is_unavailable() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("Connection refused")

    with pytest.raises(Unavailable) as raised:
        kube(refuse).version()
    assert raised.value.code == "ClusterUnreachable"
    with pytest.raises(Unavailable):
        list(kube(refuse).watch(PODS))


def test_a_forgotten_version_is_expired() -> None:
    gone = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}}
    for answer in (httpx.Response(410, json={}), httpx.Response(200, text=json.dumps(gone) + "\n")):
        with pytest.raises(Expired):
            list(kube(lambda request, answer=answer: answer).watch(PODS, since="1"))  # type: ignore[misc]  # the checker cannot infer a default of a lambda


def test_bookmarks_only_move_the_mark() -> None:
    lines = [
        {"type": "ADDED", "object": {"metadata": {"name": "p"}}},
        {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "9"}}},
    ]
    text = "\n".join(json.dumps(line) for line in lines) + "\n"
    assert [one.what for one in kube(lambda request: httpx.Response(200, text=text)).watch(PODS)] == ["added", "mark"]


def test_a_log_that_is_not_there_yet_is_empty() -> None:
    assert failing(400, message="waiting to start").pod_log("n", "p", "main") == b""
    assert failing(404, message="not found").pod_log("n", "p", "main") == b""


@pytest.mark.parametrize("audiences", [[], ["other"], ["ferry-gateway"]])
def test_a_token_counts_for_its_audience_only(audiences: list[str]) -> None:
    extra = {"authentication.kubernetes.io/pod-name": ["p-1"]}
    user = {"username": "system:serviceaccount:n:default", "extra": extra}
    status = {"authenticated": True, "audiences": audiences, "user": user}
    found = kube(lambda request: httpx.Response(201, json={"status": status})).review_token("t", "ferry-gateway")
    assert (found is not None) == (audiences == ["ferry-gateway"])
    if found is not None:
        assert found.extra["authentication.kubernetes.io/pod-name"] == ("p-1",)
    bad = kube(lambda request: httpx.Response(201, json={"status": {"error": "bad token"}}))
    assert bad.review_token("t", "ferry-gateway") is None


def test_a_service_accounts_token_is_asked_for() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/api/v1/namespaces/n/serviceaccounts/ferry-agent/token"
        assert json.loads(request.content)["spec"]["audiences"] == ["a"]
        return httpx.Response(201, json={"status": {"token": "made"}})

    assert kube(answer).account_token("n", "ferry-agent", "a") == "made"
