"""Records leave in the background, wait while the gateway is away, and never hold anybody up."""

from datetime import UTC, datetime

import pytest

from ferryml.domain.errors import Forbidden, Unavailable
from ferryml.router import shipping
from ferryml.router.haproxy.copies import Copy
from ferryml.router.haproxy.records import Spool
from ferryml.router.shipping import Shipper
from router_tables import a_revision, an_endpoint

COPY = Copy("a" * 10 + "-" + "0" * 16, "", False, True, "POST", "", [], b"[1]", b"[2]")


class Gateway:
    def __init__(self):
        self.taken, self.trouble = {}, None

    def take(self, batch, data):
        if self.trouble:
            raise self.trouble
        self.taken[batch.path] = data


@pytest.fixture
def gateway():
    return Gateway()


@pytest.fixture
def shipper(tmp_path, gateway):
    spool = Spool(tmp_path, "r", lambda: datetime(2026, 1, 1, tzinfo=UTC), 100_000)
    made = Shipper(spool, gateway.take, 0.1)
    yield made
    made.stop()


def offered(shipper, count=1):
    for _ in range(count):
        shipper.offer(an_endpoint(), a_revision("a"), COPY)
    shipper._drain()


def test_whole_batches_are_handed_over_once(shipper, gateway, tmp_path):
    offered(shipper, 3)
    assert shipper.ship() == 0
    assert shipper.ship(force=True) == 2
    assert {data.count(b"\n") for data in gateway.taken.values()} == {3}
    assert shipper.ship(force=True) == 0
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_gateway_that_is_away_is_asked_again(shipper, gateway, caplog):
    gateway.trouble = Unavailable("Unavailable", "no gateway")
    offered(shipper)
    assert [shipper.ship(force=True) for _ in range(3)] == [0, 0, 0]
    assert len(caplog.records) == 1
    gateway.trouble = None
    assert shipper.ship() == 2


def test_what_it_will_never_take_is_dropped(shipper, gateway):
    gateway.trouble = Forbidden("BadGrant", "no such endpoint")
    offered(shipper)
    shipper.ship(force=True)
    assert shipper.dropped == 2
    gateway.trouble = None
    assert shipper.ship(force=True) == 0


def test_nobody_waits_to_offer(shipper, monkeypatch):
    for _ in range(shipping.WAITING + 5):
        shipper.offer(an_endpoint(), a_revision("a"), COPY)
    assert shipper.dropped == 5


def test_what_was_offered_last_is_written_at_the_end(shipper, tmp_path):
    shipper.start()
    shipper.offer(an_endpoint(), a_revision("a"), COPY)
    shipper.stop()
    assert [path for path in tmp_path.rglob("*") if path.is_file()]
