"""Any table can follow any other: the steps lead there, and at no step a choice leads nowhere."""

from hypothesis import given
from hypothesis import strategies as some

from ferryml.domain.routes import Peer, Upstream
from ferryml.router.haproxy.changes import (
    AddServer,
    Changes,
    Delete,
    DrainServer,
    LimitServer,
    Put,
    merged,
    plan_changes,
    settled,
)
from ferryml.router.haproxy.shape import Backend, Server, Shape, shape_of
from router_tables import a_revision, a_table, an_endpoint
from token_play import Signer

PUBLIC = [Signer().public for _ in range(2)]


@some.composite
def endpoints(draw, name: str):
    letters = draw(some.lists(some.sampled_from("abc"), unique=True, max_size=3))
    revisions = tuple(
        a_revision(
            letter,
            upstreams=tuple(Upstream(instance=n, port=9000 + n) for n in draw(some.sets(some.integers(0, 2)))),
            max_queue_wait_ms=draw(some.sampled_from((100, 100, 200))),
            max_concurrent_requests=draw(some.integers(1, 2)),
            request_timeout_ms=draw(some.sampled_from((1000, 2000))),
        )
        for letter in letters
    )
    tokens = draw(some.booleans())
    return an_endpoint(
        name, "".join(letters), revisions=revisions,
        weights={letter * 10: draw(some.integers(0, 3)) for letter in letters},
        auth_mode="aml_token" if tokens else "key",
        token_keys=draw(some.sampled_from((PUBLIC[:1], PUBLIC, PUBLIC[1:]))),
    )  # fmt: skip


SHAPES = some.sets(some.sampled_from(("one", "two"))).flatmap(
    lambda names: some.tuples(*(endpoints(name) for name in sorted(names))).map(
        lambda made: shape_of(a_table(*made) if made else a_table().model_copy(update={"endpoints": ()}))
    )
)


class Pretended:
    """HAProxy as far as changes go."""

    def __init__(self) -> None:
        self.backends: dict[str, dict[str, Server]] = {}
        self.maps: dict[str, dict[str, str]] = Shape().maps
        self.choices, self.tokens, self.queues = 1, set[str](), dict[str, int]()
        self.reloads = 0

    def read(self, files: Shape) -> None:
        self.backends = {name: dict(backend.servers) for name, backend in files.backends.items()}
        self.queues = {name: backend.queue_ms for name, backend in files.backends.items()}
        self.maps = {name: dict(entries) for name, entries in files.maps.items()}
        self.choices, self.tokens = files.choices, set(files.token_keys)
        self.reloads += 1

    def do(self, changes: Changes, files: Shape) -> None:
        if changes.reload:
            self.read(files)
        else:
            for step in changes.servers:
                servers = self.backends[step.backend]
                match step:
                    case AddServer():
                        assert step.name not in servers
                        servers[step.name] = step.server
                    case LimitServer():
                        servers[step.name] = Server(servers[step.name].address, step.limit)
            for step in changes.maps:
                match step:
                    case Put():
                        assert step.new == (step.key not in self.maps[step.map])
                        self.maps[step.map][step.key] = step.value
                    case Delete():
                        del self.maps[step.map][step.key]
                self.is_whole()
        for step in changes.drains:
            self.backends.get(step.backend, {}).pop(step.name, None)
        self.is_whole()

    def is_whole(self) -> None:
        """Whatever can be chosen is there."""
        for entry in self.maps["endpoints"].values():
            parts = entry.split("|")
            assert len(parts[3:]) // 2 <= self.choices
            for backend in parts[4::2]:
                self.has(backend)
        for backend in self.maps["deployments"].values():
            self.has(backend)
        assert set(self.maps["tokens"].values()) <= self.tokens

    def has(self, backend: str) -> None:
        assert backend in self.backends
        assert backend in self.maps["revisions"]
        assert backend in self.maps["timeouts"]


@given(some.lists(SHAPES, min_size=2, max_size=5))
def test_every_table_is_reached(shapes):
    haproxy, old = Pretended(), shapes[0]
    haproxy.read(old)
    for new in shapes[1:]:
        changes = plan_changes(old, new)
        files = merged(old, new, bool(changes.reload))
        haproxy.do(changes, files)
        for name in ("endpoints", "keys", "tokens", "deployments"):
            assert haproxy.maps[name] == new.maps[name] == files.maps[name]
        for name, backend in new.backends.items():
            assert haproxy.backends[name] == backend.servers
            assert haproxy.queues[name] == backend.queue_ms
            assert haproxy.maps["timeouts"][name] == new.maps["timeouts"][name]
        assert not any(servers for name, servers in haproxy.backends.items() if name not in new.backends)
        old = settled(files, new)
        assert plan_changes(old, new).reload == ()
        assert not plan_changes(old, new).servers + plan_changes(old, new).maps + plan_changes(old, new).drains


def test_weights_pods_keys_and_limits_need_no_reload():
    before = shape_of(a_table(an_endpoint(instances=2)))
    after = shape_of(
        a_table(
            an_endpoint(
                weights={"b" * 10: 1}, key_hashes=("0" * 64,), mirror={"a" * 10: 5},
                revisions=(
                    a_revision("a", upstreams=(Upstream(instance=7, port=1),), request_timeout_ms=9),
                    a_revision("b", max_concurrent_requests=8, scoring_path="/v2"),
                ),
            )
        )
    )  # fmt: skip
    changes = plan_changes(before, after)
    assert changes.reload == ()
    assert {type(step) for step in changes.servers} == {AddServer, LimitServer}
    assert changes.drains == (
        DrainServer("r.digits.aaaaaaaaaa", "i0_9000_127.0.0.1"),
        DrainServer("r.digits.aaaaaaaaaa", "i1_9001_127.0.0.1"),
        DrainServer("r.digits.bbbbbbbbbb", "i1_9001_127.0.0.1"),
    )  # fmt: skip


def test_a_new_key_is_known_before_the_old_one_is_not():
    before, after = (shape_of(a_table(an_endpoint(key_hashes=(digit * 64,)))) for digit in "12")
    kinds = [type(step) for step in plan_changes(before, after).maps]
    assert kinds == [Put, Delete]


def test_a_reload_says_why():
    before = shape_of(a_table(an_endpoint(letters="a")))
    assert plan_changes(before, shape_of(a_table(an_endpoint(letters="ab")))).reload == ("backends", "choices")
    slower = an_endpoint(letters="a", revisions=(a_revision("a", max_queue_wait_ms=9),))
    assert plan_changes(before, shape_of(a_table(slower))).reload == ("queues",)
    signed = an_endpoint(letters="a", auth_mode="aml_token", token_keys=PUBLIC)
    assert plan_changes(before, shape_of(a_table(signed))).reload == ("tokens",)
    peers = tuple(Peer(name=f"r{n}", address=f"10.0.0.{n}:1") for n in range(2))
    assert plan_changes(before, shape_of(a_table(an_endpoint(letters="a"), peers=peers), "r0")).reload == ("peers",)


def test_what_left_stays_in_the_files_until_a_later_reload():
    one, none = shape_of(a_table(an_endpoint(letters="a"))), shape_of(a_table(an_endpoint(letters="")))
    files = merged(one, none, reloading=False)
    assert files.backends == one.backends
    assert files.maps["timeouts"] == one.maps["timeouts"]
    live = settled(files, none)
    assert live.backends == {"r.digits.aaaaaaaaaa": Backend(500, {})}
    assert merged(live, none, reloading=True).backends == {}
    assert merged(live, none, reloading=True).maps["timeouts"] == {}
