"""Why the site cannot talk: proxy, certificates, names, clocks, the gateway; from the link and from pods."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ferryml.domain.explain.clues import Clue, Kind
from ferryml.domain.explain.facts import Facts
from ferryml.domain.explain.kit import Lead, Look, Rule, lead

_TALK: tuple[Kind, ...] = ("link", "runner", "environment")
SKEW_S = 30.0
"""Signatures of a site's agent live for a minute."""


def clock(facts: Facts, said: Sequence[Clue]) -> Iterator[Lead]:
    """The site's clock is wrong."""
    if abs(facts.clock_skew_s) >= SKEW_S:
        way = "ahead of" if facts.clock_skew_s > 0 else "behind"
        yield lead(
            "clock.skew",
            "ClockSkew",
            f"the site's clock is {abs(facts.clock_skew_s):.0f} s {way} the server's",
            f"skew {facts.clock_skew_s:+.0f} s by the server's Date header",
            "IT starts time synchronisation (chrony, ntpd) on the nodes; Ferry corrects its own signatures meanwhile.",
            90,
            "warning",
        )


def gateway(facts: Facts, said: Sequence[Clue]) -> Iterator[Lead]:
    """The site's gateway does not answer."""
    if facts.gateway_down:
        yield lead(
            "gateway.down",
            "GatewayDown",
            "the site's gateway does not answer, so no new pod can start",
            facts.gateway_down,
            "IT looks at it: kubectl get pods -n ferry-system -l app.kubernetes.io/name=ferry-gateway. What runs "
            "goes on.",
            97,
        )


RULES: tuple[Look, ...] = (
    gateway,
    clock,
    Rule(
        "proxy.credentials",
        "ProxyFailed",
        _TALK,
        r"407|Proxy Authentication Required",
        "the proxy wants a user and a password, or refuses those given",
        "IT corrects the site's proxy setting (http://USER:PASSWORD@HOST:PORT).",
        98,
    ),
    Rule(
        "proxy.refuses",
        "ProxyFailed",
        _TALK,
        r"(?:proxy|tunnel|CONNECT)[^\n]*(?:403|forbidden|denied)",
        "the proxy does not let the site through to that address",
        "IT allows the server's host and port 443 on the proxy.",
        97,
    ),
    Rule(
        "proxy.unreachable",
        "ProxyFailed",
        _TALK,
        r"^ProxyFailed: (?P<why>.*)",
        "the proxy cannot be used: {why}",
        "IT checks the proxy's address in the site's settings, and that the agent may reach it.",
        95,
        last="family",
    ),
    Rule(
        "tls.expired",
        "TlsFailed",
        _TALK,
        r"certificate has expired|not yet valid|certificate is not valid yet",
        "the server's certificate has expired, or the site's clock is wrong",
        "Renew the certificate; compare the clocks.",
        98,
    ),
    Rule(
        "tls.name",
        "TlsFailed",
        _TALK,
        r"Hostname mismatch|certificate is not valid for|doesn't match|IP address mismatch",
        "the server's certificate is for another name",
        "Use the name in the certificate as FERRY_SITE_SERVER_URL.",
        98,
    ),
    Rule(
        "tls.authority",
        "TlsFailed",
        _TALK,
        r"unable to get local issuer|self[- ]signed certificate|unknown authority|unable to get issuer|^TlsFailed",
        "the certificate that answers is signed by an authority that the site does not know",
        "IT gives the site its CA bundle (with the proxy's authority where TLS is inspected).",
        96,
        last="family",
    ),
    Rule(
        "dns.server",
        "DnsFailed",
        _TALK,
        r"Name or service not known|Temporary failure in name resolution|nodename nor servname|No address "
        r"associated|no such host|^DnsFailed",
        "a name cannot be resolved on the site",
        "IT checks the cluster's DNS (coredns) and the names in the site's settings.",
        96,
    ),
    Rule(
        "gateway.unreachable",
        "GatewayDown",
        ("runner",),
        r"gateway[^\n]*(?:refused|timed out|unreachable|no route)|GatewayDown",
        "the pod cannot reach the site's gateway",
        "IT checks that ferry-gateway runs and that no NetworkPolicy keeps pods from it (port 8443).",
        93,
    ),
    Rule(
        "link.revoked",
        "Unauthenticated",
        ("link",),
        r"^(?:Unauthenticated|TokenRevoked|NotYourSite)",
        "the server does not accept this site's key any more",
        "IT joins it anew: ferry site token -n SITE.",
        95,
    ),
    Rule(
        "link.too-old",
        "AgentTooOld",
        ("link",),
        r"^AgentTooOld",
        "the site's agent is too old for the server",
        "IT upgrades the chart of the agent.",
        98,
    ),
    Rule(
        "link.down",
        "ServerUnreachable",
        ("link",),
        r"^(?:ServerUnreachable|Unavailable): (?P<why>.*)",
        "the site cannot reach the server: {why}",
        "IT allows outbound HTTPS to it; what runs on the site goes on.",
        85,
        level="warning",
        last="family",
    ),
)
