"""HAProxy's files for a shape: pure text, no disk. What each rule is for stands in docs/decisions on the router.

Two tiers in one process: `edge` checks keys and chooses, `inner` hands out places. HAProxy answers a crash with a
502 only on the first request of a connection, so each request reaches `inner` on a connection of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

from ferryml.router.haproxy.edge import edge
from ferryml.router.haproxy.inner import EVENT_BYTES, for_revisions, guesses, hop, inner, nobody, peers, revision
from ferryml.router.haproxy.options import LINE_BYTES, LONGEST_REQUEST_S, Options
from ferryml.router.haproxy.shape import Shape
from ferryml.router.haproxy.words import error_body

CONFIG = "haproxy.cfg"


def files_of(shape: Shape, options: Options, old: Shape | None = None) -> dict[str, str]:
    """Path below the folder -> text; only what differs from `old`, whose files are there."""
    made = {
        f"maps/{name}": map_text(entries)
        for name, entries in shape.maps.items()
        if old is None or old.maps[name] != entries
    }
    made |= {f"tokens/{key}.pem": pem for key, pem in shape.token_keys.items()}
    if old is None or _configured(old) != _configured(shape):
        made[CONFIG] = config_text(shape, options)
    return made


def map_text(entries: dict[str, str]) -> str:
    """HAProxy reads the first word of a line as the key and the rest as the value."""
    return "".join(f"{key} {value}\n" for key, value in sorted(entries.items()))


def config_text(shape: Shape, options: Options) -> str:
    """haproxy.cfg."""
    options.check()
    sections = [
        _global(options),
        *_rings(options),
        *_defaults(options),
        edge(shape, options),
        hop(options),
        inner(shape, options),
        *peers(shape, options),
        nobody(),
        guesses(),
        *(revision(name, one) for name, one in sorted(shape.backends.items())),
    ]
    text = "\n\n".join("\n    ".join(section) for section in sections if section) + "\n"
    for placeholder, value in (("MAPS", f"{options.folder}/maps"), ("TOKENS", f"{options.folder}/tokens")):
        text = text.replace(f"@{placeholder}@", value)
    return text.replace("@INLINE@", str(options.inline_bytes))


def _configured(shape: Shape) -> tuple[object, ...]:
    return shape.backends, shape.token_keys.keys(), shape.choices, shape.peers


def _global(options: Options) -> list[str]:
    room = 2 * options.max_connections + 500
    return [
        "global",
        f"maxconn {room}",
        f"nbthread {options.threads}",
        "no strict-limits",
        "noreuseport",
        f"hard-stop-after {LONGEST_REQUEST_S + 60}s",
        f"stats socket {options.run}/admin.sock mode 600 level admin expose-fd listeners",
        "stats timeout 24d",
        "stats maxconn 100",
        f"tune.bufsize {options.buffer_bytes}",
        "ssl-default-bind-options ssl-min-ver TLSv1.2 no-tls-tickets",
        "ssl-default-bind-ciphers ECDHE+AESGCM:ECDHE+CHACHA20",
        "tune.ssl.default-dh-param 2048",
    ]


def _rings(options: Options) -> list[list[str]]:
    """Written to in passing and read by our own programs; when those are slow or gone, lines are dropped."""
    return [
        [
            f"ring {name}", "format raw", f"maxlen {longest}", f"size {size}",
        ]
        for name, longest, size in (("events", EVENT_BYTES, 2 * 1024**2), ("copies", LINE_BYTES, 8 * 1024**2))
    ]  # fmt: skip


def _defaults(options: Options) -> list[list[str]]:
    base = [
        "defaults base",
        "mode http",
        "option http-no-delay",
        "option abortonclose",
        f"timeout client {options.idle_timeout_ms}ms",
        f"timeout http-keep-alive {options.idle_timeout_ms}ms",
        f"timeout http-request {min(options.idle_timeout_ms, 10_000)}ms",
        f"timeout connect {options.connect_timeout_ms}ms",
        "timeout queue 10s",
        "timeout server 1h",
        # of a machine that is gone nobody tells; its kernel, unlike a busy program, would answer these
        "option srvtcpka",
        "srvtcpka-idle 5s",
        "srvtcpka-intvl 1s",
        "srvtcpka-cnt 5",
        *(f"http-error status {status} content-type application/json lf-string {body}" for status, body in _own()),
    ]
    return [base, ["defaults fronts from base", "option idle-close-on-response"], for_revisions()]


def _own() -> Iterator[tuple[int, str]]:
    """What HAProxy finds wrong by itself, in our shape."""
    yield 400, error_body("BadRequest", "the request is not HTTP as it should be")
    yield 408, error_body("BadRequest", "the request did not arrive in time", "Send its body without pauses.")
    for status in (500, 502, 503, 504):
        yield status, error_body("Unavailable", "the router could not serve the request", "Try again.")
