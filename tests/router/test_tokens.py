"""The local look at tokens; tests/contract/test_router_tokens.py tries every router with worse ones."""

import time

from ferryml.router.tokens import verifier
from token_play import UID, Signer, forced


def test_its_own_tokens_open_and_nothing_else():
    signer, other = Signer(), Signer()
    opens = verifier(UID, (signer.public,))
    assert opens(signer.token())
    assert not opens(other.token())
    assert not opens(signer.token(exp=int(time.time()) - 1))
    assert not opens(forced(signer, {"aud": [UID]}))
    for text in ("", ".", "a.b.c", "\x00", signer.token()[:-10]):
        assert not opens(text)


def test_two_keys_while_one_replaces_the_other():
    one, other = Signer(), Signer()
    opens = verifier(UID, (one.public, other.public))
    assert opens(one.token())
    assert opens(other.token())
    assert not verifier(UID, ())(one.token())
