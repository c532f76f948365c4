"""Why the site cannot talk."""

import pytest

from explain_play import checks, first
from ferryml.domain.explain import Facts


@pytest.mark.parametrize(
    ("code", "message", "check"),
    [
        ("ProxyFailed", "407 Proxy Authentication Required", "proxy.credentials"),
        ("ProxyFailed", "the proxy answered CONNECT with 403 Forbidden", "proxy.refuses"),
        ("ProxyFailed", "connection refused", "proxy.unreachable"),
        ("TlsFailed", "certificate verify failed: certificate has expired", "tls.expired"),
        ("TlsFailed", "certificate verify failed: Hostname mismatch, certificate is not valid for 'a'", "tls.name"),
        ("TlsFailed", "certificate verify failed: unable to get local issuer certificate", "tls.authority"),
        ("ServerUnreachable", "[Errno -2] Name or service not known", "dns.server"),
        ("ServerUnreachable", "timed out", "link.down"),
        ("AgentTooOld", "the agent speaks protocol 1", "link.too-old"),
        ("Unauthenticated", "unknown key", "link.revoked"),
    ],
)
def test_the_link(code, message, check):
    assert checks(Facts(link_code=code, link_message=message)) == [check]


def test_a_pod_that_cannot_reach_the_gateway():
    state = {"phase": "staging", "code": "GatewayDown", "message": "the gateway timed out"}
    assert checks(Facts(runner={0: state})) == ["gateway.unreachable"]


def test_the_gateway_and_the_clock():
    assert first(Facts(gateway_down="connection refused")).code == "GatewayDown"
    found = first(Facts(clock_skew_s=-90))
    assert "90 s behind" in found.cause
    assert checks(Facts(clock_skew_s=3)) == []
