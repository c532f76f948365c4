"""Keys stay on the disk, tokens live a minute, and the server's clock rules."""

from __future__ import annotations

import stat
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path

import jwt
import pytest

from ferryml.agent.keys import LIFE_S, Clock, KeySigner, load_or_make, public_text
from ferryml.domain.errors import Refused
from site_play import PlayClock


def test_a_key_is_made_once_and_read_by_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "agent.key"
    first = public_text(load_or_make(path))
    path.chmod(0o644)
    assert public_text(load_or_make(path)) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_what_is_no_key_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "agent.key"
    path.write_text("precious")
    with pytest.raises(Refused):
        load_or_make(path)
    assert path.read_text() == "precious"


def test_tokens_say_who_for_whom_and_for_how_long(tmp_path: Path) -> None:
    key, now = load_or_make(tmp_path / "k"), PlayClock()
    ids = iter("ab")
    signer = KeySigner(key, "site/agent", "ferry-1", Clock(now), lambda: next(ids))
    claims = jwt.decode(
        signer.token(), key.public_key(), algorithms=["EdDSA"], audience="ferry-1",
        options={"verify_exp": False, "verify_iat": False},
    )  # fmt: skip
    assert (claims["iss"], claims["sub"], claims["jti"]) == ("site/agent", "site/agent", "a")
    assert claims["iat"] < now().timestamp()
    assert claims["exp"] - claims["iat"] == LIFE_S


@pytest.mark.parametrize("minutes", [-10, 10])
def test_the_servers_date_shifts_the_clock(minutes: int) -> None:
    now = PlayClock()
    clock = Clock(now)
    server = now() + timedelta(minutes=minutes)
    assert clock.hears(format_datetime(server, usegmt=True))
    assert clock.now() == server
    assert not clock.hears(format_datetime(server, usegmt=True)), "nothing new"


@pytest.mark.parametrize("date", ["", "yesterday", "Wed, 32 Foo 2024 99:00:00 GMT"])
def test_nonsense_dates_shift_nothing(date: str) -> None:
    now = PlayClock()
    clock = Clock(now)
    assert not clock.hears(date)
    assert clock.now() == now()
