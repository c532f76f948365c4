"""`ferry token`."""

import json

import pytest

from ferryml.cli.tokens import seconds
from ferryml.domain.errors import Refused


def test_a_token_is_shown_once_and_revoked(ferry):
    made = json.loads(ferry("token", "create", "-n", "bob", "--role", "reader", "--expires-in", "1d").out)
    assert made["token"].startswith("fry_")
    listed = ferry("token", "list").out
    assert made["id"] in listed
    assert made["token"] not in listed
    assert ferry("token", "delete", "-n", made["id"]).code == 0
    assert ferry("token", "list", "--query", f"[?id=='{made['id']}'].state", "-o", "tsv").out == "Revoked\n"


def test_times_have_units():
    assert [seconds(text) for text in ("90s", "30m", "12h", "7d", "5")] == [90, 1800, 43_200, 604_800, 5]
    for text in ("", "x", "0d", "-1", "1w"):
        with pytest.raises(Refused):
            seconds(text)
