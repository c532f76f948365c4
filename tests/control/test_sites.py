"""Sites: joined once, known by their keys, heard from, forgotten."""

import base64

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from control_play import OWNER, WORKSPACE, enrolment
from ferryml.control import detaching, link, sites
from ferryml.domain.access import Caller
from ferryml.domain.errors import Conflict, Forbidden, NotFound, Refused, Unauthenticated
from ferryml.domain.link import PROTOCOL, Enrol, Heartbeat


def public(key):
    return base64.b64encode(key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


@pytest.fixture
def keys():
    return Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()


@pytest.fixture
def joined(play, keys):
    token = sites.create(play.deps, OWNER, "edge", "plant")["join_token"]
    agent, gateway = (public(key) for key in keys)
    asked = Enrol(join_token=token, agent_key=agent, gateway_key=gateway, version="1")
    return asked, sites.enrol(play.deps, asked)


def signed(play, key, subject="edge/agent", shift=0, **changes):
    now = int(play.dice.now().timestamp()) + shift
    claims = {"iss": subject, "sub": subject, "aud": play.deps.keys.server_id, "iat": now, "exp": now + 60, "jti": "1"}
    return jwt.encode({**claims, **changes}, key, algorithm="EdDSA")


def test_a_site_joins(play, joined):
    answer = joined[1]
    assert (answer.site, answer.zone, answer.server_key) == ("edge", "plant", play.deps.keys.public_key())
    shown = sites.show(play.deps, OWNER, "edge")
    assert (shown["state"], shown["backend"]) == ("Online", "local")
    assert not {"join", "agent_key", "gateway_key"} & set(shown)


def test_the_answer_may_be_lost_but_the_token_is_spent(play, joined):
    asked, answer = joined
    assert sites.enrol(play.deps, asked) == answer
    with pytest.raises(Unauthenticated) as caught:
        sites.enrol(play.deps, enrolment(asked.join_token))
    assert caught.value.code == "JoinTokenUsed"


@pytest.mark.parametrize("token", ["", "join", "join_edge_x", "join_none_secret", "fry_a_b"])
def test_what_is_no_join_token_is_refused(play, token):
    sites.create(play.deps, OWNER, "edge")
    with pytest.raises(Unauthenticated):
        sites.enrol(play.deps, enrolment(token))


def test_join_tokens_end(play):
    token = sites.create(play.deps, OWNER, "edge")["join_token"]
    play.dice.passes(play.settings.join_token_ttl_s + 1)
    with pytest.raises(Unauthenticated):
        sites.enrol(play.deps, enrolment(token))


def test_a_new_join_token_kills_the_old_one(play):
    old = sites.create(play.deps, OWNER, "edge")["join_token"]
    new = sites.new_join_token(play.deps, OWNER, "edge")["join_token"]
    with pytest.raises(Unauthenticated):
        sites.enrol(play.deps, enrolment(old))
    sites.enrol(play.deps, enrolment(new))


@pytest.mark.parametrize(("protocol", "code"), [(PROTOCOL - 2, "AgentTooOld"), (PROTOCOL + 1, "NotSupported")])
def test_an_agent_of_another_age_is_told(play, protocol, code):
    token = sites.create(play.deps, OWNER, "edge")["join_token"]
    with pytest.raises(Refused) as caught:
        sites.enrol(play.deps, enrolment(token).model_copy(update={"protocol": protocol}))
    assert caught.value.code == code
    # the token is not spent: the upgraded agent joins with it
    sites.enrol(play.deps, enrolment(token))


def beats(play, protocol):
    return sites.heartbeat(play.deps, "edge", Heartbeat(protocol=protocol, version="0.9", at=play.dice.now()))


def test_an_agent_one_version_older_is_served_and_two_older_is_told(play, joined):
    beats(play, PROTOCOL - 1)
    assert link.wishes(play.deps, "edge", 0, "", 0).wishes == ()
    seen = sites.show(play.deps, OWNER, "edge")["last_seen"]
    play.dice.passes(5)
    for ask in (
        lambda: beats(play, PROTOCOL - 2),
        lambda: link.wishes(play.deps, "edge", 0, "", 0),
        lambda: link.reports(play.deps, "edge", "", []),
    ):
        with pytest.raises(Refused) as caught:
            ask()
        assert caught.value.code == "AgentTooOld"
    shown = sites.show(play.deps, OWNER, "edge")
    assert (shown["protocol"], shown["version"], shown["last_seen"]) == (PROTOCOL - 2, "0.9", seen)
    beats(play, PROTOCOL)
    assert link.wishes(play.deps, "edge", 0, "", 0).wishes == ()


def test_signatures_open_the_right_door(play, keys, joined):
    agent, gateway = keys
    assert sites.authenticate(play.deps, signed(play, agent), "agent") == "edge"
    assert sites.authenticate(play.deps, signed(play, gateway, "edge/gateway"), "gateway") == "edge"


@pytest.mark.parametrize(
    "fault", ["other door", "other key", "other audience", "other issuer", "late", "early", "unknown", "garbage", "hs"]
)
def test_other_signatures_open_nothing(play, keys, joined, fault):
    agent, gateway = keys
    token = {
        "other door": lambda: signed(play, gateway, "edge/gateway"),
        "other key": lambda: signed(play, gateway),
        "other audience": lambda: signed(play, agent, aud="another-server"),
        "other issuer": lambda: signed(play, agent, iss="edge/gateway"),
        "late": lambda: signed(play, agent, shift=-120),
        "early": lambda: signed(play, agent, shift=120),
        "unknown": lambda: signed(play, agent, "none/agent"),
        "garbage": lambda: "a.b.c",
        "hs": lambda: jwt.encode({"sub": "edge/agent"}, "k" * 32, algorithm="HS256"),
    }[fault]()
    with pytest.raises(Unauthenticated):
        sites.authenticate(play.deps, token, "agent")


def test_a_token_cannot_claim_a_long_life(play, keys, joined):
    token = signed(play, keys[0], exp=int(play.dice.now().timestamp()) + 10**6)
    play.dice.passes(1000)
    with pytest.raises(Unauthenticated):
        sites.authenticate(play.deps, token, "agent")


def test_a_deleted_site_opens_nothing(play, keys, joined):
    sites.delete(play.deps, OWNER, "edge")
    with pytest.raises(Unauthenticated):
        sites.authenticate(play.deps, signed(play, keys[0]), "agent")


def test_a_site_with_a_compute_is_not_deleted(play):
    play.site("edge")
    with pytest.raises(Conflict):
        sites.delete(play.deps, OWNER, "edge")
    detaching.detach(play.deps, OWNER, WORKSPACE, "c1")
    sites.delete(play.deps, OWNER, "edge")
    with pytest.raises(NotFound):
        sites.show(play.deps, OWNER, "edge")


def test_heartbeats_bring_the_inventory(play, joined):
    play.dice.passes(10)
    play.beat("edge", cpus=4)
    shown = sites.show(play.deps, OWNER, "edge")
    assert shown["inventory"] == {"cpus": 4}
    assert shown["last_seen"] == play.dice.now().isoformat()


def test_settings_reach_the_site_and_the_zone_never_moves(play, joined):
    sites.update(play.deps, OWNER, "edge", {"settings": {"python": "nearest"}})
    with pytest.raises(Refused):
        sites.update(play.deps, OWNER, "edge", {"zone": "elsewhere"})
    assert sites.enrol(play.deps, joined[0]).settings == {"python": "nearest"}


def test_names_are_checked_and_used_once(play):
    with pytest.raises(Refused):
        sites.create(play.deps, OWNER, "Bad Name")
    sites.create(play.deps, OWNER, "edge")
    with pytest.raises(Conflict):
        sites.create(play.deps, OWNER, "edge")


def test_only_operators_of_everything_manage_sites(play):
    for caller in (Caller("o", "owner", WORKSPACE), Caller("d", "data-scientist", "*"), Caller("r", "reader", "*")):
        with pytest.raises(Forbidden):
            sites.create(play.deps, caller, "edge")
    sites.create(play.deps, Caller("it", "it-operator", "*"), "edge")
    assert len(sites.list_sites(play.deps, Caller("r", "reader", WORKSPACE))) == 1
