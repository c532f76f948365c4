"""The second tier: places at instances, lines, timeouts, and what becomes of a model's answer."""

from __future__ import annotations

from ferryml.router.haproxy.options import LONGEST_REQUEST_S, Options
from ferryml.router.haproxy.shape import KEPT, Backend, Shape
from ferryml.router.haproxy.words import error_body, log_of, quoted, returned_later

EVENT_BYTES = 512
GUESS_WINDOW_S = 10
_HERE = "here"
_DEAD = "tcp-ut 3s"
"""A machine that does not even take what is sent is gone: requests on connections to it end, and need no timeout."""
_CRASHED = error_body("ModelFailed", "the model's program ended during the request", "See get-logs.")
_CHECKED = "check inter 500ms fall 1 rise 2 observe layer4 error-limit 1 on-error mark-down"


def for_revisions() -> list[str]:
    """The rules of every revision's backend, written once."""
    lacking = "%[srv_id,bool,set-var(txn.met),iif(,)]%[var(txn.met),not,set-var(txn.unmet),iif(,)]"
    full = f"{lacking}%[nbsrv,bool,and(txn.unmet),iif"
    unserved = (
        '{"error": {"code": "' + full + '(QueueWaitExceeded,ResourceNotReady)]", "message": "'
        + full + '("all instances of the deployment stayed busy for longer than max_queue_wait_ms",'
        '"no instance of the deployment is ready")]", "hint": "'
        + full + '("Add instances or raise request_settings.max_queue_wait_ms.","See get-logs of the deployment.")]"'
        ', "details": {}}, "request_id": "%[var(txn.rid)]"}'
    )  # fmt: skip
    late = error_body(
        "ModelTimeout", "the model took longer than its timeout", "Raise request_settings.request_timeout_ms."
    )
    raised = error_body(
        "ModelFailed", "the model's program answered with an error",
        "See `ferry online-deployment get-logs` for the traceback.",
        '"model_status": %[var(txn.model)], "model_answer": "%[var(txn.words),json(utf8ps)]"',
    )  # fmt: skip
    return [
        "defaults revisions from base",
        "balance leastconn",
        "http-reuse always",
        "retries 3",
        "option redispatch 1",
        "retry-on conn-failure",
        f"http-error status 502 content-type application/json lf-string {_CRASHED}",
        f"http-error status 503 content-type application/json lf-string {quoted(unserved)}",
        f"http-error status 504 content-type application/json lf-string {late}",
        "http-request set-var(txn.met) bool(false)",
        "http-request set-var(txn.unmet) bool(false)",
        "http-request set-timeout server var(txn.be),map_str_int(@MAPS@/timeouts,5000)",
        "http-request set-priority-class int(1000) if { var(txn.kind) -m str m }",
        "http-request del-header x-ferry-route",
        "http-request set-header host localhost",
        "http-request set-path %[var(txn.be),map(@MAPS@/revisions),field(4,|)] if { var(txn.kind) -m str s }",
        # a scoring path that ends with / has others below it: what is asked behind /score/
        "http-request set-var(txn.rest) path,field(7,/,0)",
        "http-request set-path %[var(txn.be),map(@MAPS@/revisions),field(3,|)]%[var(txn.rest)]"
        " unless { var(txn.kind) -m str s }",
        "http-response set-var(txn.model) status if { status ge 400 }",
        "http-response del-header server",
        "http-response wait-for-body time 1s at-least 500 if { status ge 500 }",
        "http-response set-var(txn.words) res.body,bytes(0,500) if { status ge 500 }",
        returned_later(502, raised, "if { status ge 500 }"),
        "acl short res.hdr_val(content-length) 1:@INLINE@",
        "acl empty status 204 304",
        f"http-response wait-for-body time {LONGEST_REQUEST_S}s if short !empty",
        "http-response set-var(txn.said) res.body_len if short",
        returned_later(502, _CRASHED, "if short !empty { res.body_size,sub(txn.said) gt 0 }"),
        "acl told var(txn.model) -m found",
        "http-after-response set-header ms-azureml-model-error-statuscode %[var(txn.model)] if told",
        "http-after-response set-header ms-azureml-model-error-reason model_error if told",
    ]


def inner_log() -> list[str]:
    """One short line for each request: kind, backend, status, how it ended, microseconds since it came."""
    line = "%[var(txn.kind)] %[var(txn.be)] %ST %ts %[date(0,us),sub(txn.t0)]"
    return log_of("events", EVENT_BYTES, line)


def hop(options: Options) -> list[str]:
    """How the edge reaches the inner tier: a connection for each request."""
    return ["backend inner from base", "option http-server-close", f"server inner unix@{options.run}/inner.sock"]


def inner(shape: Shape, options: Options) -> list[str]:
    """Where every request comes to its revision; those that another replica owns go there while it lives.

    One that found it gone comes here a second time, and stays.
    """
    others = [
        f"use_backend peer.{name} if {{ var(txn.owner) -m str {name} }} {{ srv_is_up(peer.{name}/{name}) }}"
        for name in (peer.name for peer in shape.peers)
    ]
    return [
        "frontend inner from fronts",
        f"bind unix@{options.run}/inner.sock mode 600",
        *inner_log(),
        "http-request set-var(txn.t0) date(0,us)",
        *_as_routed(),
        *(_owned() if others else []),
        *others,
        *to_backend(),
    ]


def _owned() -> list[str]:
    """By whom; the edge lets nobody say from outside that he was here before."""
    return [
        "acl again req.hdr(x-ferry-peer) -m found",
        "http-request set-log-level silent if again",
        "http-request set-var(txn.owner) var(txn.be),map(@MAPS@/owners) unless again",
        "http-request del-header x-ferry-peer",
    ]


def to_backend() -> list[str]:
    """By the name that the edge chose."""
    return ["use_backend %[var(txn.be)] if { var(txn.be) -m found }", "default_backend nobody"]


def _as_routed() -> list[str]:
    return [
        "http-request set-var(txn.kind) req.hdr(x-ferry-route),field(1,|)",
        "http-request set-var(txn.be) req.hdr(x-ferry-route),field(2,|)",
        "http-request set-var(txn.rid) req.hdr(x-request-id)",
    ]


def peers(shape: Shape, options: Options) -> list[list[str]]:
    """What comes from other replicas is served here and never passed on again."""
    if not options.peer_bind:
        return []
    secret = options.peer_secret
    door = [
        "frontend peers from fronts",
        f"bind {options.peer_bind}",
        "http-request return status 200 content-type text/plain string ok if { path /healthz }",
        f"http-request deny deny_status 403 unless {{ req.hdr(x-ferry-peer) -m str {secret} }}",
        *_as_routed(),
        "http-request del-header x-ferry-peer",
        *to_backend(),
    ]
    return [door, *(_peer(peer.name, peer.address, options) for peer in shape.peers)]


def _peer(name: str, address: str, options: Options) -> list[str]:
    """One that cannot be reached got nothing of the request: it is served here, as all later ones are."""
    return [
        f"backend peer.{name} from base",
        "http-reuse always",
        "option httpchk GET /healthz",
        "timeout check 1s",
        "retries 1",
        "option redispatch 1",
        "retry-on conn-failure",
        f"http-error status 502 content-type application/json lf-string {_CRASHED}",
        f"http-request set-header x-ferry-peer {options.peer_secret}",
        f"http-request set-timeout server int({(LONGEST_REQUEST_S + 60) * 1000})",
        f"server {name} {address} {_CHECKED} {KEPT} {_DEAD}",
        f"server {_HERE} unix@{options.run}/inner.sock backup",
    ]


def nobody() -> list[str]:
    """For a revision that left between choice and arrival."""
    gone = error_body("ResourceNotReady", "the deployment has just been removed", "Try again.")
    return [
        "backend nobody from base",
        f"http-request return status 503 content-type application/json lf-string {gone}",
    ]


def guesses() -> list[str]:
    """Who sent wrong keys of late."""
    kept = f"gpc0,gpc0_rate({GUESS_WINDOW_S}s)"
    return ["backend guesses from base", f"stick-table type ipv6 size 100k expire {GUESS_WINDOW_S}s store {kept}"]


def revision(name: str, backend: Backend) -> list[str]:
    """One revision's instances."""
    servers = sorted(backend.servers.items())
    return [
        f"backend {name} from revisions",
        f"timeout queue {backend.queue_ms}ms",
        *(f"server {server} {at.words}" for server, at in servers),
    ]
