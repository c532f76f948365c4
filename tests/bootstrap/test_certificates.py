import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ferryml.bootstrap.certificates import certified
from ferryml.domain.errors import Refused

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = ["ferry-gateway.ferry-system.svc", "127.0.0.1"]


def test_it_stays_while_it_is_good():
    first = certified(None, NAMES, NOW)
    assert certified(first, NAMES, NOW + timedelta(days=200)) == first


def test_it_is_renewed_in_time_under_the_same_authority():
    first = certified(None, NAMES, NOW)
    second = certified(first, NAMES, NOW + timedelta(days=300))
    assert (second.authority, second.certificate == first.certificate) == (first.authority, False)


def test_another_name_wants_another_certificate():
    first = certified(None, NAMES, NOW)
    assert certified(first, [*NAMES, "other"], NOW).authority == first.authority
    assert certified(first, [*NAMES, "other"], NOW) != first


def test_an_authority_at_its_end_is_replaced():
    first = certified(None, NAMES, NOW)
    assert certified(first, NAMES, NOW + timedelta(days=3400)).authority != first.authority


def test_strict_clients_believe_it():
    made = certified(None, NAMES, datetime.now(UTC))
    context = ssl.create_default_context(cadata=made.authority)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    assert context.cert_store_stats()["x509_ca"] == 1


def test_damaged_ones_are_said():
    first = certified(None, NAMES, NOW)
    with pytest.raises(Refused, match="cannot be read"):
        certified(replace(first, certificate="nonsense"), NAMES, NOW)
