"""Which addresses a server may be made to talk to, in every way of writing them."""

import pytest

from ferryml.domain.addresses import masked, may_reach, networks, web_address
from ferryml.domain.errors import Refused


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "::ffff:93.184.216.34", "8.8.8.8"])
def test_public_addresses(address):
    assert may_reach(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1",
        "100.100.100.200", "169.254.169.254", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "224.0.0.1", "239.1.1.1",
        "ff02::1", "255.255.255.255", "198.18.0.1", "192.0.2.1", "2001:db8::1", "240.0.0.1", "168.63.129.16",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::10.0.0.1", "64:ff9b::7f00:1",
        "2002:7f00:1::", "2002:a00:1::1", "2001:0:4136:e378:8000:63bf:f5ff:fffe",
    ],
)  # fmt: skip
def test_what_is_inside_is_not_reached(address):
    assert not may_reach(address)


def test_named_networks_are_reached_and_their_neighbours_are_not():
    allowed = networks("10.1.0.0/16, fd00:1::/32\n127.0.0.0/8")
    for address in ("10.1.2.3", "fd00:1::9", "127.0.0.1", "::ffff:10.1.2.3"):
        assert may_reach(address, allowed)
    for address in ("10.2.0.1", "fd00:2::1", "::1"):
        assert not may_reach(address, allowed)
    assert networks("") == ()


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0.0/33", "intranet"])
def test_what_is_no_network_is_named(text):
    with pytest.raises(ValueError, match=text.split("/")[0]):
        networks(text)


@pytest.mark.parametrize("url", ["https://a.example/x?y=1", "https://a.example:8443", "https://[2001:db8::1]/x"])
def test_urls_that_can_be_posted_to(url):
    assert web_address(url, allow_http=False) == url


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://a/x", "no web address"), ("https:///x", "no web address"), ("a.example", "no web address"),
        ("https://u:secret@a/x", "password"), ("https://a/x#secret", "fragment"), ("https://a:0/", "port"),
        ("https://a:99999/secret", "cannot be read"), ("https://a/se cret", "spaces"), ("https://a/é", "ASCII"),
        ("https://[::1/secret", "cannot be read"), ("https://a/\r\nx:secret", "spaces"),
        ("https://a/" + "x" * 2000, "longer"), ("http://a/secret", "webhook_allow_http"),
    ],
)  # fmt: skip
def test_others_are_refused_and_not_repeated(url, words):
    with pytest.raises(Refused, match=words) as caught:
        web_address(url, allow_http=False)
    assert "secret" not in str(caught.value.as_dict())


def test_only_the_host_is_for_everybody():
    assert masked("https://hooks.example:8443/services/T0/secret?key=secret") == "https://hooks.example:8443/..."
    assert masked("https://a.example/?key=secret") == "https://a.example/..."
    assert masked("https://a.example/") == masked("https://a.example") == "https://a.example"
