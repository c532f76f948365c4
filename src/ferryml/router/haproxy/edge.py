"""The first tier: which endpoint, who may ask, which revision answers; and what is noted once it has."""

from __future__ import annotations

from ferryml.router.haproxy.inner import GUESS_WINDOW_S, inner_log, to_backend
from ferryml.router.haproxy.options import LINE_BYTES, LONGEST_REQUEST_S, Options
from ferryml.router.haproxy.shape import SCALE, Shape
from ferryml.router.haproxy.words import error_body, log_of, returned

_PATHS = r"^/api/v1/(endpoint|service)/[A-Za-z][-A-Za-z0-9]{0,63}/(score(/[-A-Za-z0-9._~:+=,]+){0,16}|swagger\.json)$"
_CLIMBS = "{ path -m sub /./ /../ } || { path -m end /. /.. }"
LOST = "this router answers /api/v1/endpoint/NAME/score"
_GUESSES = 20
MAX_CAPTURE_BYTES = 4096
"""Predictions in longer answers are not kept."""
_NO_REVISION = "0" * 10
_DROPPED = (
    "authorization", "azureml-model-deployment", "keep-alive", "proxy-authenticate", "proxy-authorization",
    "proxy-connection", "te", "trailer", "upgrade", "expect", "x-ferry-peer",
)  # fmt: skip


def edge(shape: Shape, options: Options) -> list[str]:
    """The scoring address."""
    secured = f" ssl crt {options.folder}/edge.pem alpn h2,http/1.1" if options.certificate else ""
    ours = _edge_log() if options.tiers == 2 else inner_log()
    return [
        "frontend edge from fronts",
        *(f"bind {address}{secured}" for address in options.bind),
        f"maxconn {options.max_connections}",
        *ours,
        *_answer_headers(options),
        *_named(),
        *_cors(options),
        *_asked(),
        *_opened(shape),
        *_taken(options),
        *_chosen(shape),
        *(_passed_on() if options.tiers == 2 else _passed_on_at_once()),
    ]


def _answer_headers(options: Options) -> list[str]:
    origin = (
        "http-after-response set-header access-control-allow-origin %[var(txn.origin)] if { var(txn.origin) -m found }"
    )
    return [
        "http-after-response set-header x-request-id %[var(txn.rid)]",
        "http-after-response set-header x-ms-request-id %[var(txn.rid)]",
        "http-after-response set-header x-ms-client-request-id %[var(txn.cid)] if { var(txn.cid) -m found }",
        "http-after-response set-header azureml-model-deployment %[var(txn.dep)] if { var(txn.dep) -m found }",
        *([origin, "http-after-response add-header vary origin"] if options.cors_origins else []),
    ]


def _named() -> list[str]:
    return [
        "http-request set-log-level silent",
        "http-request set-var(txn.u) uuid()",
        "http-request set-var-fmt(txn.hex) %[var(txn.u),field(1,-)]%[var(txn.u),field(5,-),bytes(0,8)]",
        f"http-request set-var-fmt(txn.rid) {_NO_REVISION}-%[var(txn.hex)]",
        "http-request set-var(txn.cid) req.fhdr(x-ms-client-request-id,1)"
        r" if { req.fhdr(x-ms-client-request-id,1) -m reg ^[-_A-Za-z0-9]{1,40}$ }",
        returned(
            400, error_body("BadRequest", "the request is not HTTP/1.1 or HTTP/2"), "unless { req.ver 1.0 1.1 2.0 }"
        ),
        "http-request return status 200 content-type text/plain string ok if { path / /healthz /readyz }",
    ]


def _cors(options: Options) -> list[str]:
    if not options.cors_origins:
        return []
    allowed = (
        "" if "*" in options.cors_origins else " if { req.hdr(origin) -m str " + " ".join(options.cors_origins) + " }"
    )
    return [
        f"http-request set-var(txn.origin) req.hdr(origin){allowed}",
        "http-request return status 204 hdr access-control-allow-methods POST,GET"
        " hdr access-control-allow-headers authorization,content-type,azureml-model-deployment,x-ms-client-request-id"
        " hdr access-control-max-age 600 if METH_OPTIONS { var(txn.origin) -m found }",
    ]


def _asked() -> list[str]:
    """Which endpoint, what of it, and is there such a one."""
    lost = error_body("NotFound", LOST, "Use the endpoint's scoring_uri.")
    method = error_body("BadRequest", "use POST or GET for score, GET for swagger.json")
    unknown = error_body("EndpointNotFound", "no endpoint %[var(txn.ep)] here", "See `ferry online-endpoint list`.")
    return [
        returned(404, lost, f"unless {{ path -m reg {_PATHS} }}"),
        returned(404, lost, f"if {_CLIMBS}"),
        "http-request set-var(txn.ep) path,field(5,/)",
        "acl swagger path,field(6,/) swagger.json",
        "acl below path,field(7,/) -m len gt 0",
        returned(405, method, "unless METH_GET || METH_POST !swagger"),
        "http-request set-var(txn.entry) var(txn.ep),map(@MAPS@/endpoints)",
        returned(404, unknown, "unless { var(txn.entry) -m found }"),
    ]


def _opened(shape: Shape) -> list[str]:
    """By key, or by a signed token whose key, algorithm, audience and expiry are the endpoint's."""
    shut = error_body("Unauthenticated", "the key or token is missing, wrong or expired",
                      "Send `Authorization: Bearer KEY`; see get-credentials.")  # fmt: skip
    guesser = error_body("LimitExceeded", "too many wrong keys from this address", f"Wait {GUESS_WINDOW_S} s.")
    verify = [
        f"http-request set-var(txn.signed) var(txn.token),jwt_verify(txn.alg,\"@TOKENS@/{key}.pem\")"
        f" if tokens {{ var(txn.kid) -m str {key} }} {{ var(txn.alg) -m str ES256 }}"
        for key in sorted(shape.token_keys)
    ]  # fmt: skip
    claims = [
        "http-request set-var(txn.token) http_auth_bearer if tokens",
        "http-request set-var(txn.alg) var(txn.token),jwt_header_query('$.alg') if tokens",
        "http-request set-var(txn.sent) var(txn.token),jwt_header_query('$.kid') if tokens",
        "http-request set-var-fmt(txn.slot) %[var(txn.ep)]:%[var(txn.sent)] if tokens",
        "http-request set-var(txn.kid) var(txn.slot),map(@MAPS@/tokens) if tokens",
        *verify,
        "http-request set-var(txn.uid) var(txn.entry),field(2,|) if tokens",
        "http-request set-var(txn.aud) var(txn.token),jwt_payload_query('$.aud') if tokens",
        "http-request set-var(txn.now) date() if tokens",
        "http-request set-var(txn.left) var(txn.token),jwt_payload_query('$.exp','int'),sub(txn.now) if tokens",
        "http-request set-var(txn.open) bool(true) if tokens { var(txn.signed) -m int 1 }"
        " { var(txn.left) -m int gt 0 } { var(txn.uid),strcmp(txn.aud) eq 0 }",
    ]
    return [
        "acl tokens var(txn.entry),field(1,|) t",
        "http-request set-var(txn.hash) http_auth_bearer,sha2(256),hex if !tokens",
        "http-request set-var-fmt(txn.slot) %[var(txn.ep)]:%[var(txn.hash)] if !tokens",
        "http-request set-var(txn.open) var(txn.slot),map(@MAPS@/keys) if !tokens",
        *(claims if shape.token_keys else []),
        "acl opened var(txn.open) -m found",
        "http-request track-sc0 src table guesses if !opened",
        "http-request sc-inc-gpc0(0) if !opened",
        returned(429, guesser, f"if !opened {{ sc0_gpc0_rate(guesses) gt {_GUESSES} }}"),
        returned(401, shut, "if !opened", "www-authenticate Bearer"),
    ]


def _taken(options: Options) -> list[str]:
    large = error_body("LimitExceeded", f"the body exceeds {options.max_body_bytes} bytes",
                       f"Send at most {options.max_body_bytes} bytes in one request.")  # fmt: skip
    return [
        returned(413, large, f"if {{ req.body_size gt {options.max_body_bytes} }}"),
        f"http-request wait-for-body time {min(options.idle_timeout_ms, 10_000)}ms",
    ]


def _chosen(shape: Shape) -> list[str]:
    """By name when one is given, else by weight: the entry is `MODE|UID|SAMPLED|BOUND|BACKEND|BOUND|BACKEND...`."""
    none = error_body(
        "NoValidDeployment", "no deployment of endpoint %[var(txn.ep)] serves this request",
        "Set traffic with `ferry online-endpoint update --traffic`, or name one with azureml-model-deployment.",
    )  # fmt: skip
    shallow = error_body(
        "NotFound", "this deployment answers at its scoring path alone",
        "Only what is below a scoring path that ends with / can be asked, as of Triton servers.",
    )  # fmt: skip
    return [
        "acl by_name req.fhdr(azureml-model-deployment,1) -m len gt 0",
        "http-request set-var-fmt(txn.slot) %[var(txn.ep)]/%[req.fhdr(azureml-model-deployment,1)] if by_name",
        "http-request set-var(txn.be) var(txn.slot),map(@MAPS@/deployments) if by_name",
        f"http-request set-var(txn.draw) rand({SCALE})",
        "http-request set-var(txn.be) var(txn.entry),field(5,|) if !by_name",
        *(
            f"http-request set-var(txn.be) var(txn.entry),field({2 * nth + 5},|) if !by_name"
            f" {{ var(txn.entry),field({2 * nth + 2},|),sub(txn.draw) le 0 }}"
            for nth in range(1, shape.choices)
        ),
        returned(404, none, "unless { var(txn.be) -m len gt 0 }"),
        "http-request set-var(txn.info) var(txn.be),map(@MAPS@/revisions)",
        returned(404, shallow, "if below !{ var(txn.info),field(3,|) -m end / }"),
        "http-request set-var(txn.dep) var(txn.info),field(1,|)",
        "http-request set-var-fmt(txn.rid) %[var(txn.be),field(3,.)]-%[var(txn.hex)]",
        "http-request set-var(txn.kind) str(w)",
        "http-request set-var(txn.kind) str(d) if by_name",
        "http-request set-var(txn.kind) str(s) if swagger",
        *(f"http-request del-header {name}" for name in _DROPPED),
        "http-request set-header x-request-id %[var(txn.rid)]",
    ]


def _passed_on() -> list[str]:
    """To the inner tier; what mirrors and labels need is written to the ring once the answer is known."""
    copied, labelled = "brief mirrored { status 200 } or brief recorded { status 200 }", "label kept { status 200 }"
    return [
        "acl weighted var(txn.kind) -m str w",
        "acl sized req.hdr(content-length) -m found",
        "acl none req.body_size 0",
        "acl fits req.body_size 1:@INLINE@",
        f"http-request set-var(txn.lot) rand({SCALE})",
        "http-request set-var(txn.copy) str(c) if weighted !below { var(txn.entry),field(3,|),sub(txn.lot) gt 0 }",
        "acl mirrored var(txn.copy) -m found",
        "http-request set-var(txn.copy) str(x) if mirrored !none !fits or mirrored !none !sized",
        f"http-request set-var(txn.lot) rand({SCALE})",
        "http-request set-var(txn.rec) str(r) if !swagger { var(txn.info),field(5,|),sub(txn.lot) gt 0 }",
        "acl recorded var(txn.rec) -m found",
        "acl kept var(txn.info),field(2,|) 1",
        "http-request set-var(txn.rq) query if mirrored or recorded",
        "http-request set-var(txn.rh) req.hdrs if mirrored or recorded",
        "http-request set-var(txn.rb) req.body if mirrored fits sized or recorded fits sized",
        "http-request set-log-level info if !swagger mirrored or !swagger kept or recorded",
        "http-request set-header x-ferry-route %[var(txn.kind)]|%[var(txn.be)]",
        "acl brief res.hdr_val(content-length) 1:@INLINE@",
        f"acl label res.hdr_val(content-length) 1:{MAX_CAPTURE_BYTES}",
        "http-response set-log-level silent unless { status 200 }",
        f"http-response wait-for-body time {LONGEST_REQUEST_S}s if {copied}",
        f"http-response wait-for-body time {LONGEST_REQUEST_S}s if {labelled}",
        f"http-response set-var(txn.sb) res.body if {copied} or {labelled}",
        # HAProxy ends, and with it the inner tier that new requests on old connections would ask: they pass it by
        "use_backend %[var(txn.be)] if { stopping } { str(leaving),map(@MAPS@/state) -m found }",
        "default_backend inner",
    ]


def _passed_on_at_once() -> list[str]:
    return [
        "http-request set-log-level info",
        "http-request del-header x-ferry-route",
        "http-request set-var(txn.t0) date(0,us)",
        *to_backend(),
    ]


def _edge_log() -> list[str]:
    """See `copies.read_copy`."""
    packed = [f"%[var(txn.{name}),base64]" for name in ("rq", "rh", "rb", "sb")]
    parts = [
        "%[var(txn.rid)]",
        "%[var(txn.be)]",
        "%[var(txn.kind)]%[var(txn.copy)]%[var(txn.rec)]",
        "%HM",
        *packed,
        ".",
    ]
    return log_of("copies", LINE_BYTES, " ".join(parts))
