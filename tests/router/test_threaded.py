"""The router in a thread of its own: any thread may change its table."""

import urllib.error
import urllib.request

import pytest

from ferryml.domain.errors import Refused, Unavailable
from ferryml.domain.routes import EndpointRoute
from ferryml.router.app import Router
from ferryml.router.threaded import RouterThread
from ferryml.settings import RouterSettings


def thread(**settings) -> RouterThread:
    return RouterThread(lambda: Router(RouterSettings(**settings), lambda: 0.5, lambda: "0" * 16, lambda *a: None))


def test_it_starts_serves_and_stops():
    router = thread()
    url = router.start("127.0.0.1", 0)
    try:
        assert urllib.request.urlopen(url + "/healthz", timeout=5).read() == b"ok"
        router.apply(EndpointRoute(uid="endpoint.w.e", name="e"))
        assert router.totals("endpoint.w.e") == router.recent("endpoint.w.e") == router.busy("endpoint.w.e") == {}
        assert router.queued("endpoint.w.e") == {}
        router.drop("endpoint.w.e")
    finally:
        router.stop(0)
        router.stop(0)


def test_before_it_starts_it_says_so():
    with pytest.raises(Unavailable):
        thread().totals("endpoint.w.e")


def test_keys_do_not_travel_in_the_clear():
    router = thread()
    try:
        with pytest.raises(Refused, match="clear"):
            router.start("0.0.0.0", 0)
    finally:
        router.stop(0)


@pytest.mark.parametrize(
    ("keyless", "headers", "status"),
    [(False, {}, 401), (True, {}, 404), (True, {"Origin": "http://elsewhere.example"}, 401)],
)
def test_without_keys_it_answers_programs_and_no_pages_of_browsers(keyless, headers, status):
    router = thread(keyless=keyless)
    url = router.start("127.0.0.1", 0)
    try:
        router.apply(EndpointRoute(uid="endpoint.w.e", name="e"))
        call = urllib.request.Request(f"{url}/api/v1/endpoint/e/score", b"{}", headers)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(call, timeout=5)
        assert refused.value.code == status
        refused.value.close()
    finally:
        router.stop(0)
