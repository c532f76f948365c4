"""What a table becomes for HAProxy, and what never gets there."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ferryml.domain.errors import Refused
from ferryml.domain.routes import Peer, Upstream
from ferryml.router.haproxy.shape import SCALE, bounds, instance_of, sampled, server_name, shape_of
from router_tables import a_revision, a_table, an_endpoint

WEIGHTS = some.dictionaries(some.text("ab", min_size=1, max_size=8), some.integers(-5, 10_000), max_size=20)


@given(WEIGHTS)
def test_bounds_cover_everything_and_nobody_positive_is_left_out(weights):
    made = bounds(weights)
    positive = {name for name, weight in weights.items() if weight > 0}
    assert {name for _, name in made} == positive
    ends = [bound for bound, _ in made]
    assert ends == sorted(set(ends))
    if positive:
        assert ends[-1] == SCALE
        assert ends[0] >= 1
        total = sum(weights[name] for name in positive)
        before = 0
        for bound, name in made:
            assert abs((bound - before) / SCALE - weights[name] / total) <= (len(made) + 1) / SCALE
            before = bound


def test_an_endpoint_is_one_entry():
    shape = shape_of(a_table(an_endpoint(weights={"a" * 10: 9, "b" * 10: 1}, mirror={"b" * 10: 50})))
    assert shape.maps["endpoints"] == {
        "digits": "k|endpoint.ws.digits|5000|9000|r.digits.aaaaaaaaaa|10000|r.digits.bbbbbbbbbb"
    }
    assert shape.choices == 2
    assert list(shape.maps["deployments"]) == ["digits/dep-a", "digits/dep-b"]


def test_without_weights_nothing_is_chosen_and_the_unknown_is_left_out():
    shape = shape_of(a_table(an_endpoint(weights={"a" * 10: 0, "z" * 10: 5}, direct={"dep-z": "z" * 10})))
    assert shape.maps["endpoints"]["digits"] == "k|endpoint.ws.digits|0"
    assert shape.maps["deployments"] == {}


def test_servers_say_who_they_are():
    for upstream in (Upstream(instance=3, host="10.1.2.3", port=80), Upstream(instance=0, host="fd00::1", port=5001)):
        assert instance_of(server_name(upstream)) == (upstream.instance, upstream.port)
    shape = shape_of(
        a_table(an_endpoint(revisions=(a_revision("a", upstreams=(Upstream(instance=0, host="fd00::1", port=1),)),)))
    )
    assert [server.address for server in shape.backends["r.digits.aaaaaaaaaa"].servers.values()] == ["[fd00::1]:1"]


def test_the_largest_mirror_says_how_much_is_sampled():
    assert sampled(an_endpoint()) == 0
    assert sampled(an_endpoint(mirror={"a" * 10: 1, "b" * 10: 50})) == SCALE // 2


def test_each_revision_has_one_owner_and_only_others_are_named():
    peers = tuple(Peer(name=f"r{n}", address=f"10.0.0.{n}:1") for n in range(3))
    table = a_table(an_endpoint(letters="abcdefgh"), peers=peers)
    shapes = {peer.name: shape_of(table, peer.name) for peer in peers}
    for backend in shapes["r0"].backends:
        named = {name: shape.maps["owners"].get(backend, name) for name, shape in shapes.items()}
        assert len(set(named.values())) == 1, "all agree"
    assert [peer.name for peer in shapes["r1"].peers] == ["r0", "r2"]
    assert shape_of(a_table(peers=peers[:1]), "r0").maps["owners"] == {}


HOSTILE = ["", "a b", "a\nb", "a|b", "a/b", "a#b", "a\x00", "é", "x" * 300, "%[src]", "'", '"', "a\\"]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_that_could_be_misread_gets_in(text):
    digits = an_endpoint()
    first = digits.revisions[0]
    for endpoint in (
        digits.model_copy(update={"name": text}),
        digits.model_copy(update={"uid": text}),
        digits.model_copy(update={"key_hashes": (text,)}),
        digits.model_copy(update={"direct": {text: "a" * 10}}),
        digits.model_copy(update={"auth_mode": "aml_token", "token_keys": (text,)}),
        *(
            digits.model_copy(update={"revisions": (first.model_copy(update={name: text}),)})
            for name in ("revision", "deployment")
        ),
        *(
            digits.model_copy(update={"revisions": (first.model_copy(update={name: "/" + text + "\x7f"}),)})
            for name in ("scoring_path", "swagger_path")
        ),
        digits.model_copy(
            update={"revisions": (first.model_copy(update={"upstreams": (Upstream(instance=0, host=text, port=1),)}),)}
        ),
    ):
        with pytest.raises(Refused):
            shape_of(a_table(endpoint))
    for peer in (Peer(name=text, address="10.0.0.1:1"), Peer(name="r", address=text)):
        with pytest.raises(Refused):
            shape_of(a_table(peers=(peer,)))
