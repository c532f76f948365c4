"""What opens an endpoint: to whom it is told, for how long, and what happens to it when keys change."""

import jwt
import pytest

from control_play import OWNER, WORKSPACE
from endpoint_play import NAME, UID, EndpointPlay
from ferryml.control import credentials, endpoints, token_keys
from ferryml.domain.access import Caller
from ferryml.domain.errors import Conflict, Forbidden, NotFound, Refused
from ferryml.domain.routes import key_id
from ferryml.router.tokens import verifier
from spread_play import SpreadPlay

SCORER = Caller("sam", "scorer", WORKSPACE)


@pytest.fixture
def site(play):
    play.site()
    return EndpointPlay(play)


@pytest.fixture
def tokens(site):
    site.endpoint(auth_mode="AML_Token")
    site.accepts()
    return site


def pems(site):
    text = site.order().token_public_key
    return [part + "-----END PUBLIC KEY-----\n" for part in text.split("-----END PUBLIC KEY-----\n")[:-1]]


def ask(site, caller=OWNER):
    return credentials.get(site.deps, caller, WORKSPACE, NAME)


def claims(token):
    return jwt.decode(token, options={"verify_signature": False})


def test_keys_of_an_endpoint_with_keys(site):
    site.endpoint()
    assert ask(site) == endpoints.keys(site.deps, OWNER, WORKSPACE, NAME)
    assert site.order().token_public_key == ""
    with pytest.raises(Forbidden):
        ask(site, SCORER)


def test_a_token_as_az_shows_it(tokens):
    now = int(tokens.play.dice.now().timestamp())
    made = ask(tokens)
    assert {**made, "accessToken": ""} == {
        "accessToken": "", "tokenType": "Bearer", "expiryTimeUtc": now + 3600, "refreshAfterTimeUtc": now + 1800,
    }  # fmt: skip
    said = claims(made["accessToken"])
    assert (said["aud"], said["sub"], said["exp"] - said["iat"]) == (UID, "ann", 3600)
    order = tokens.order()
    assert (order.auth_mode, order.key_hashes) == ("aml_token", ())
    assert jwt.get_unverified_header(made["accessToken"])["kid"] == key_id(order.token_public_key)
    jwt.decode(made["accessToken"], order.token_public_key, ["ES256"], audience=UID, options={"verify_exp": False})


def test_routers_take_the_tokens_that_the_server_makes(tokens):
    tokens.play.dice.at = tokens.play.dice.at.replace(year=2999)
    token = ask(tokens)["accessToken"]
    assert verifier(UID, pems(tokens))(token)
    assert not verifier("endpoint.team.other", pems(tokens))(token)
    tokens.play.dice.at = tokens.play.dice.at.replace(year=2001)
    assert not verifier(UID, pems(tokens))(ask(tokens)["accessToken"])


def test_who_may_have_a_token(tokens):
    assert claims(ask(tokens, SCORER)["accessToken"])["sub"] == "sam"
    for role in ("reader", "it-operator"):
        with pytest.raises(Forbidden):
            ask(tokens, Caller("x", role, WORKSPACE))
    with pytest.raises(NotFound):
        ask(tokens, Caller("x", "owner", "elsewhere"))
    with pytest.raises(NotFound):
        credentials.get(tokens.deps, SCORER, WORKSPACE, "absent")


def test_each_token_is_in_the_audit_but_not_its_text(tokens):
    token = ask(tokens, SCORER)["accessToken"]
    with tokens.deps.store.read() as tx:
        entries = [one for one in tx.audits(WORKSPACE) if one.verb == "endpoint.token"]
    assert [(one.actor, one.subject) for one in entries] == [("sam", f"endpoint:{NAME}")]
    assert entries[0].details["jti"] == claims(token)["jti"]
    assert token not in str(entries)


@pytest.mark.parametrize("act", [endpoints.keys, lambda *a: endpoints.regenerate(*a, "primary")])
def test_there_are_no_keys_where_tokens_open(tokens, act):
    with pytest.raises(Refused, match="tokens expire") as caught:
        act(tokens.deps, OWNER, WORKSPACE, NAME)
    assert caught.value.code == "NotSupported"
    assert "rotate-token-key" in caught.value.hint


def test_a_key_is_used_once_the_site_accepts_it(tokens):
    old = claims_key(tokens)
    made = credentials.rotate(tokens.deps, OWNER, WORKSPACE)
    assert made["keys"][0]["kid"] == old
    assert len(pems(tokens)) == 2
    assert claims_key(tokens) == old
    tokens.accepts()
    assert claims_key(tokens) == made["keys"][1]["kid"]
    with pytest.raises(Conflict) as caught:
        credentials.rotate(tokens.deps, OWNER, WORKSPACE)
    assert caught.value.code == "OperationInProgress"


def test_a_leaked_key_ends_at_once(tokens):
    old = claims_key(tokens)
    credentials.rotate(tokens.deps, OWNER, WORKSPACE)
    made = credentials.rotate(tokens.deps, OWNER, WORKSPACE, revoke=True)
    assert [key_id(pem) for pem in pems(tokens)] == [one["kid"] for one in made["keys"]]
    assert claims_key(tokens) == made["keys"][0]["kid"] != old


def test_only_owners_change_the_key(tokens):
    for role in ("data-scientist", "scorer", "reader", "it-operator"):
        with pytest.raises(Forbidden):
            credentials.rotate(tokens.deps, Caller("x", role, WORKSPACE), WORKSPACE)


def test_a_new_endpoint_of_the_workspace_shares_the_ring(tokens):
    endpoints.create(tokens.deps, OWNER, WORKSPACE, {"name": "other", "compute": "c1", "auth_mode": "aml_token"})
    with tokens.deps.store.read() as tx:
        assert len(token_keys.ring(tx, WORKSPACE)) == 1
        assert len(credentials.endpoints_with_tokens(tx, WORKSPACE)) == 2
        wish = tx.wish("cloud", f"endpoint.{WORKSPACE}.other")
    assert wish.order["token_public_key"] == tokens.order().token_public_key
    endpoints.delete(tokens.deps, OWNER, WORKSPACE, NAME)
    with tokens.deps.store.read() as tx:
        assert [row.name for row in credentials.endpoints_with_tokens(tx, WORKSPACE)] == ["other"]


def claims_key(site):
    return jwt.get_unverified_header(ask(site)["accessToken"])["kid"]


def test_a_token_of_several_computes_is_signed_with_a_key_that_all_accept(play):
    there = SpreadPlay(play)
    there.endpoint(auth_mode="aml_token")
    for site in there.sites.values():
        site.accepts()

    def signed():
        return jwt.get_unverified_header(credentials.get(play.deps, OWNER, WORKSPACE, NAME)["accessToken"])["kid"]

    old = signed()
    credentials.rotate(play.deps, OWNER, WORKSPACE)
    there.sites["c1"].accepts()
    assert signed() == old, "c2 has not heard of the new one"
    there.sites["c2"].accepts()
    assert signed() != old
    with play.store.read() as tx:
        assert [row.name for row in credentials.endpoints_with_tokens(tx)] == [f"{NAME}@c1", f"{NAME}@c2"]
