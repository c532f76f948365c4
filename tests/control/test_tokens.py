"""Tokens: told once, hashed, expiring, revocable, and never more than their maker's."""

import pytest

from control_play import OWNER, WORKSPACE
from ferryml.control import tokens
from ferryml.domain.access import Caller
from ferryml.domain.errors import Forbidden, NotFound, Refused, Unauthenticated

HERE = Caller("olga", "owner", WORKSPACE, "t")


def made(play, **changes):
    asked = {"workspace": WORKSPACE, "name": "ci", "role": "data-scientist", **changes}
    return tokens.create(play.deps, OWNER, **asked)


def refusal(play, text):
    with pytest.raises(Unauthenticated) as caught:
        tokens.verify(play.deps, text)
    return caught.value.code


def test_a_token_opens_what_it_was_made_for(play):
    caller = tokens.verify(play.deps, made(play)["token"])
    assert (caller.name, caller.role, caller.workspace) == ("ci", "data-scientist", WORKSPACE)


def test_its_secret_is_nowhere_in_the_database(play):
    text = made(play)["token"]
    secret = text.rpartition("_")[2]
    with play.store.read() as tx:
        assert all(secret not in str(row.spec) + str(row.status) for row in tx.find("token"))
        assert secret not in str(tx.audits(WORKSPACE))
    assert secret not in str(tokens.list_tokens(play.deps, OWNER, WORKSPACE))


@pytest.mark.parametrize("text", ["", "fry", "fry__", "fry_x_y", "xyz_0000000001_a", "fry_a'b_c", "\ud800", "fry_ _\0"])
def test_what_is_no_token_opens_nothing(play, text):
    assert refusal(play, text) == "Unauthenticated"


def test_a_wrong_secret_opens_nothing(play):
    assert refusal(play, made(play)["token"] + "x") == "Unauthenticated"


def test_tokens_end(play):
    text = made(play, expires_in_s=60)["token"]
    tokens.verify(play.deps, text)
    play.dice.passes(61)
    assert refusal(play, text) == "TokenExpired"


def test_tokens_are_revoked(play):
    token = made(play)
    tokens.revoke(play.deps, OWNER, WORKSPACE, token["id"])
    tokens.revoke(play.deps, OWNER, WORKSPACE, token["id"])
    assert refusal(play, token["token"]) == "TokenRevoked"


@pytest.mark.parametrize("life", [0, -1, 10**12])
def test_lives_have_bounds(play, life):
    if life == 0:
        assert made(play, expires_in_s=0)["expires_at"] > play.dice.now().isoformat()
        return
    with pytest.raises(Refused):
        made(play, expires_in_s=life)


def test_unknown_roles_are_refused(play):
    with pytest.raises(Refused):
        made(play, role="root")


def test_an_owner_of_one_workspace_makes_no_token_for_others(play):
    with pytest.raises(Forbidden):
        tokens.create(play.deps, HERE, "*", "x", "owner")
    with pytest.raises(NotFound):
        tokens.create(play.deps, HERE, "other", "x", "owner")
    with pytest.raises(Forbidden):
        tokens.create(play.deps, Caller("d", "data-scientist", WORKSPACE), WORKSPACE, "x", "owner")
    with pytest.raises(Forbidden):
        tokens.list_tokens(play.deps, HERE, "*")


def test_revoking_looks_in_the_named_workspace_only(play):
    everywhere = tokens.create(play.deps, OWNER, "*", "root", "owner")
    with pytest.raises(NotFound):
        tokens.revoke(play.deps, HERE, WORKSPACE, everywhere["id"])
    tokens.verify(play.deps, everywhere["token"])
