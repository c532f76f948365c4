"""The door as the agent sees it; tests/gateway/test_app.py asks it as jobs do."""

from __future__ import annotations

import pytest

from ferryml.domain.errors import Forbidden, NotFound, Unauthenticated, Unavailable
from ferryml.domain.orders import Tree, TreeEntry
from ferryml.gateway.door import hash_of
from gateway_play import PlayPlace
from server_play import PlayServer


def test_tokens_are_kept_as_hashes_only(gateway: PlayPlace) -> None:
    token = gateway.door.admit("job.w.j", 1, gateway.server.grant())
    assert gateway.door.who(token).uid == "job.w.j"
    rows = gateway.db.rows("SELECT hash FROM tokens")
    assert rows == [(hash_of(token),)]
    assert token not in str(gateway.db.rows("SELECT * FROM streams"))


def test_admission_wants_a_grant_for_that_work(gateway: PlayPlace) -> None:
    with pytest.raises(Forbidden):
        gateway.door.admit("job.w.other", 1, gateway.server.grant())
    with pytest.raises(Forbidden):
        gateway.door.renew("job.w.other", gateway.server.grant())


def test_dismissal_shuts_the_door(gateway: PlayPlace) -> None:
    token = gateway.door.admit("job.w.j", 1, gateway.server.grant())
    gateway.door.dismiss("job.w.j")
    with pytest.raises(Unauthenticated):
        gateway.door.who(token)


def test_the_agent_fetches_under_a_grant(gateway: PlayPlace, play_server: PlayServer) -> None:
    digest = play_server.keep(b"model")
    assert gateway.door.fetch(digest, play_server.grant(reads=(digest,))).read_bytes() == b"model"
    with pytest.raises(Forbidden):
        gateway.door.fetch(digest, play_server.grant())
    absent = "sha256:" + "0" * 64
    with pytest.raises(NotFound):
        gateway.door.fetch(absent, play_server.grant(reads=(absent,)))


def test_what_is_here_needs_no_server(gateway: PlayPlace, play_server: PlayServer) -> None:
    digest = play_server.keep(b"model")
    grant = play_server.grant(reads=(digest,))
    gateway.door.fetch(digest, grant)
    play_server.close()
    assert gateway.door.fetch(digest, grant).read_bytes() == b"model"
    other = play_server.grant("job.other.k", workspace="other", reads=(digest,))
    with pytest.raises(Unavailable):
        gateway.door.fetch(digest, other)


def test_a_retry_may_read_the_outputs_so_far(gateway: PlayPlace) -> None:
    first = gateway.admit()
    digest, size = gateway.store.put([b"checkpoint"])
    gateway.door.received(first, digest)
    tree = Tree(entries=(TreeEntry(path="c.bin", digest=digest, size=size),))
    gateway.door.take_output(first, "checkpoints", tree, "uri_folder")
    found = gateway.door.outputs("job.w.j", 1)
    second = gateway.admit(attempt=2)
    assert gateway.door.blob(second, found["checkpoints"].digest, 5).exists()
    assert gateway.door.blob(second, digest, 5).read_bytes() == b"checkpoint"


def test_trimming_leaves_what_is_bound_or_unsent(gateway: PlayPlace) -> None:
    bound = gateway.admit("job.w.bound", zones=("eu",))
    kept, _ = gateway.store.put([b"bound" * 100])
    loose, _ = gateway.store.put([b"loose" * 100])
    gateway.door.received(bound, kept)
    gateway.door.take_output(bound, "o", Tree(entries=(TreeEntry(path="a", digest=kept, size=500),)), "uri_folder")
    gateway.drain()
    gateway.door.trim(0)
    assert (gateway.store.has(kept), gateway.store.has(loose)) == (True, False)


def test_the_site_writes_logs_for_work(gateway: PlayPlace, play_server: PlayServer) -> None:
    gateway.door.renew("job.w.j", play_server.grant())
    gateway.door.append_log("job.w.j", 1, "system_logs/environment.log", b"no such package")
    gateway.drain()
    assert play_server.logs() == {"system_logs/environment.log": b"no such package"}


def test_bound_logs_stay(gateway: PlayPlace, play_server: PlayServer) -> None:
    caller = gateway.admit(zones=("eu",), release=("metrics",))
    assert gateway.door.take_log(caller, "a.txt", 0, b"secret") == 6
    assert gateway.journal.streams_waiting() == []


def test_a_site_may_keep_all_its_logs(gateway: PlayPlace, play_server: PlayServer) -> None:
    gateway.door.logs_stay = True
    caller = gateway.admit()
    assert gateway.door.take_log(caller, "a.txt", 0, b"line\n") == 5
    gateway.door.append_log("job.w.j", 1, "system_logs/environment.log", b"installed")
    gateway.door.complete(caller, 0)
    gateway.drain()
    assert play_server.logs() == {}
    found = gateway.door.receipt("job.w.j", 1)
    assert found is not None
    assert found.forwarded, "what stays is waited for by nobody"
