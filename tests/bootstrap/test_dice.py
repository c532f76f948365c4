"""Chance and time of the machine."""

import re
from datetime import UTC

from ferryml.bootstrap.dice import SystemDice


def test_ids_are_short_words_and_never_the_same():
    made = {SystemDice().id() for _ in range(1000)}
    assert len(made) == 1000
    assert all(re.fullmatch(r"[a-z0-9]{10}", ident) for ident in made)
    assert len(SystemDice().id(3)) == 3


def test_secrets_have_256_bits():
    assert len(SystemDice().secret()) >= 43


def test_time_knows_its_zone():
    assert SystemDice().now().tzinfo is UTC
