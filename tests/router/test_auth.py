"""The door: right keys always open, wrong ones soon meet 429, and memory of guessers is bounded."""

import hashlib
import hmac

import pytest

from ferryml.domain.errors import Unauthenticated
from ferryml.router.auth import MAX_FAILURES, WINDOW_S, Door, TooManyGuesses

HASHES = tuple(hashlib.sha256(key.encode()).hexdigest() for key in ("one", "two"))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def door(clock) -> Door:
    return Door(clock)


@pytest.mark.parametrize("said", ["Bearer one", "Bearer two", "bearer one", "BEARER  one "])
def test_a_right_key_opens(door, said):
    door.enter(said, HASHES, "1.2.3.4")


@pytest.mark.parametrize("said", ["", "one", "Basic one", "Bearer", "Bearer three", "Bearer one two", "Bearer \xff"])
def test_a_wrong_one_does_not(door, said):
    with pytest.raises(Unauthenticated):
        door.enter(said, HASHES, "1.2.3.4")


def test_without_keys_nobody_enters(door):
    with pytest.raises(Unauthenticated):
        door.enter("Bearer ", (), "1.2.3.4")


def test_guessers_are_slowed_by_address_and_forgiven_in_time(door, clock):
    for _ in range(MAX_FAILURES):
        with pytest.raises(Unauthenticated):
            door.enter("Bearer x", HASHES, "bad")
    with pytest.raises(TooManyGuesses):
        door.enter("Bearer x", HASHES, "bad")
    with pytest.raises(Unauthenticated):
        door.enter("Bearer x", HASHES, "other")
    door.enter("Bearer one", HASHES, "bad")
    clock.now = WINDOW_S + 1
    with pytest.raises(Unauthenticated):
        door.enter("Bearer x", HASHES, "bad")


def test_many_addresses_do_not_fill_the_memory(door):
    for number in range(6000):
        with pytest.raises(Unauthenticated):
            door.enter("Bearer x", HASHES, str(number))
    assert len(door._failures) <= 4096


def test_every_key_is_compared_whole(door, monkeypatch):
    seen = []
    compare = hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda one, other: seen.append(other) or compare(one, other))
    door.enter("Bearer one", HASHES, "1.2.3.4")
    assert tuple(seen) == HASHES
