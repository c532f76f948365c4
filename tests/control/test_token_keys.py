"""The ring of signing keys: which one signs, and what lies in the database."""

from control_play import WORKSPACE
from ferryml.control import token_keys
from ferryml.control.context import changed, turn


def test_a_ring_is_made_once_and_sealed(play):
    changed(play.deps, lambda now: token_keys.ensure(play.deps, now, WORKSPACE))
    changed(play.deps, lambda now: token_keys.ensure(play.deps, now, WORKSPACE))
    with play.store.read() as tx:
        (key,) = token_keys.ring(tx, WORKSPACE)
        assert token_keys.public_keys(tx, WORKSPACE) == key.public
        assert token_keys.ring(tx, "other") == ()
        assert token_keys.switched_at(tx, WORKSPACE) is None
        row = tx.get("setting", WORKSPACE, token_keys.NAME)
    assert key.public.startswith("-----BEGIN PUBLIC KEY-----")
    assert "PRIVATE" not in str(row)
    assert play.deps.keys.unseal(key.sealed).startswith("-----BEGIN PRIVATE KEY-----")


def test_the_newest_key_that_the_site_accepts_signs(play):
    with turn(play.deps) as now:
        old, new = token_keys.new(play.deps, now), token_keys.new(play.deps, now)
        token_keys.put(now, WORKSPACE, (old, new), 5.0)
        assert token_keys.switched_at(now.tx, WORKSPACE) == 5.0
        assert token_keys.ring(now.tx, WORKSPACE) == (old, new)
        assert token_keys.public_keys(now.tx, WORKSPACE).count("BEGIN PUBLIC KEY") == 2
    assert token_keys.signing((old, new), (old.kid,)) == old
    assert token_keys.signing((old, new), (old.kid, new.kid)) == new
    assert token_keys.signing((old, new), ()) == new
    assert token_keys.signing((new,), (old.kid,)) == new
