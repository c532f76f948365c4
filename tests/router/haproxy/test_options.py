"""What HAProxy would misread is refused before it is written."""

import pytest

from ferryml.domain.errors import Refused
from ferryml.router.haproxy.options import LINE_BYTES, Options

GOOD = {"folder": "/etc/ferry", "run": "/run/ferry", "bind": ("127.0.0.1:80",)}


def test_plain_options_pass():
    Options(**GOOD, peer_bind="[::1]:1", peer_secret="0123456789abcdef", cors_origins=("https://a.example",)).check()


@pytest.mark.parametrize(
    "bad",
    [
        {"folder": "/a b"}, {"folder": "/a\nb"}, {"run": "/a#b"}, {"run": "/" + "a" * 90}, {"bind": ("x ssl",)},
        {"cors_origins": ("https://a }",)}, {"peer_bind": "a:1"}, {"peer_bind": "a:1", "peer_secret": "short"},
        {"peer_bind": "a:1", "peer_secret": "with a blank and %"},
    ],
    ids=str,
)  # fmt: skip
def test_what_would_be_misread_does_not(bad):
    with pytest.raises(Refused):
        Options(**(GOOD | bad)).check()


@pytest.mark.parametrize("buffer", [16384, 65536, 1024**2])
def test_request_and_answer_fit_into_one_line(buffer):
    inline = Options(**GOOD, buffer_bytes=buffer).inline_bytes
    assert 2 * inline * 4 / 3 <= min(buffer, LINE_BYTES) * 0.81
