"""What a site collected becomes versions of a data asset, wherever its bytes are."""

import pytest

from control_play import OWNER, WORKSPACE
from endpoint_play import NAME, UID, EndpointPlay
from ferryml.control import assets, datastores, journal, lineage
from ferryml.domain.link import Journal, JournalEntry, OutputRecord
from spread_play import SpreadPlay

COLLECT = {"sampling_rate": 0.5, "collections": {"request": {"enabled": "true"}, "response": {"enabled": "false"}}}
PLACED = {"path": "azureml://datastores/a/paths/b"}
ASSET = f"{NAME}-blue-request"


@pytest.fixture
def site(play):
    play.site()
    made = EndpointPlay(play)
    made.endpoint()
    return made


def told(site, tree, name="blue/request", bound=False, seq=1, placed=False):
    grant = site.wish().grant
    record = OutputRecord(name=name, tree=tree, bound=bound, placed=placed)
    entry = JournalEntry(uid=UID, attempt=1, seq=seq, grant=grant, item=record)
    return journal.take(site.deps, "cloud", Journal(entries=(entry,)))


def shown(site, name=ASSET, version="@latest"):
    return assets.show(site.deps, OWNER, WORKSPACE, "data", name, version)


def test_the_site_is_told_what_to_record(site):
    asked = {**COLLECT, "rolling_rate": "Day", "request_logging": {"capture_headers": ["X-Tenant", "Authorization"]}}
    revision = site.serving(data_collector=asked)
    (order,) = site.order().revisions
    assert order.revision == revision
    assert order.collect.model_dump() == {
        "sampling_rate": 0.5, "rolling": "day", "collections": ("request",), "headers": ("x-tenant",),
        "script": {}, "places": {},
    }  # fmt: skip


def test_it_changes_without_a_new_revision(site):
    revision = site.serving()
    assert site.order().revisions[0].collect is None
    site.update(data_collector=COLLECT)
    site.says()
    (order,) = site.order().revisions
    assert (order.revision, order.collect.collections) == (revision, ("request",))
    site.update(data_collector={"collections": {"request": {"enabled": False}}})
    assert site.order().revisions[0].collect is None


def test_what_a_program_reads_at_its_start_makes_a_new_revision(site):
    revision = site.serving()
    site.update(data_collector={"collections": {"model_inputs": {"enabled": True}}})
    (old, new) = site.order().revisions
    assert (old.revision, old.collect) == (revision, None)
    assert new.collect.script == {"model_inputs": 1.0}


def test_records_may_go_to_a_datastore_of_the_site(site, play):
    store = {"name": "a", "type": "local", "root": "/data", "site": "cloud"}
    datastores.create(site.deps, OWNER, WORKSPACE, store)
    named = {"enabled": True, "data": {**PLACED, "name": "kept", "version": "7"}}
    asked = {"collections": {"request": named, "response": {"enabled": True}}}
    revision = site.serving(data_collector=asked)
    (order,) = site.order().revisions
    assert order.collect.places["request"].path == "b"
    grant = site.deps.keys.verify_grant(site.wish().grant)
    assert grant.records == {"blue/request": order.collect.places["request"]}
    tree = play.folder({"x": b"1"})
    for seq in (1, 2):
        assert not told(site, tree, bound=True, seq=seq, placed=True).refused
    made = shown(site, "kept")
    assert (made["version"], made["path"]) == ("8", PLACED["path"])
    first = shown(site, "kept", "7")["ferry"]["content"]
    assert (first["place"]["root"], first["site"], first["tree"]) == ("/data", "cloud", None)
    site.update(data_collector={"collections": {"request": named}})
    site.says()
    (order,) = site.order().revisions
    assert (order.revision, list(order.collect.places)) == (revision, ["request"])


def test_what_was_placed_and_is_declared_no_more_is_refused(site, play):
    site.serving(data_collector=COLLECT)
    assert len(told(site, play.folder({"a": b"1"}), bound=True, placed=True).refused) == 1


def test_collections_that_nobody_declared_are_refused(site, play):
    site.serving(data_collector={"collections": {"model_inputs": {"enabled": True}}})
    assert not told(site, play.folder({"a": b"1"}), "blue/model_inputs").refused
    assert len(told(site, play.folder({"a": b"1"}), "blue/made_up", seq=2).refused) == 1


def test_versions_are_counted_and_come_from_the_deployment(site, play):
    revision = site.serving(data_collector=COLLECT)
    for number in range(2):
        tree = play.folder({f"2026/03/04/05/r-{number}.jsonl": b"{}"})
        answer = told(site, tree, seq=number + 1)
        assert not answer.refused
    made = shown(site)
    assert (made["version"], made["type"], made["tags"]["collection"]) == ("2", "uri_folder", "request")
    assert made["ferry"]["content"]["tree"]["digest"] == tree.digest
    node = f"data:{ASSET}:2"
    sources = lineage.lineage(site.deps, OWNER, WORKSPACE, node, "up")["nodes"]
    assert f"deployment:{NAME}/blue:{revision}" in {one["id"] for one in sources}
    told(site, tree, seq=2)
    assert shown(site)["version"] == "2"


def test_the_deployment_may_name_the_asset(site, play):
    named = {"collections": {"request": {"enabled": True, "data": {"name": "asked"}}}}
    site.serving(data_collector=named)
    told(site, play.folder({"a": b"1"}))
    assert shown(site, "asked")["version"] == "1"


def test_what_is_bound_is_known_by_digest_and_place(site, play):
    site.serving(data_collector=COLLECT)
    tree = play.folder({"a": b"1"}).model_copy(update={"digest": "sha256:" + "7" * 64})
    assert not told(site, tree, bound=True).refused
    content = shown(site)["ferry"]["content"]
    assert (content["site"], content["site_only"], content["tree"]["digest"]) == ("cloud", True, tree.digest)


def test_what_is_of_no_deployment_or_not_there_is_refused(site, play):
    site.serving(data_collector=COLLECT)
    absent = play.folder({"a": b"1"}).model_copy(update={"digest": "sha256:" + "7" * 64})
    for seq, (tree, name) in enumerate(((play.folder({"a": b"1"}), "red/request"), (absent, "blue/request")), 1):
        answer = told(site, tree, name, seq=seq)
        assert len(answer.refused) == 1
    assert assets.list_assets(site.deps, OWNER, WORKSPACE, "data", None, "any", (0, 10))["items"] == []


def test_each_compute_of_several_has_an_asset_of_its_own(play):
    there = SpreadPlay(play)
    there.endpoint()
    there.calm()
    there.deploy(data_collector=COLLECT)
    there.calm()
    tree = play.folder({"a": b"1"})
    record = OutputRecord(name="blue/request", tree=tree, bound=False)
    for compute, site in (("c1", "cloud"), ("c2", "edge")):
        entry = JournalEntry(uid=UID, attempt=1, seq=1, grant=there.sites[compute].wish().grant, item=record)
        assert not journal.take(play.deps, site, Journal(entries=(entry,))).refused
        made = shown(there, f"{ASSET}-{compute}")
        assert (made["version"], made["tags"]["endpoint"], made["tags"]["compute"]) == ("1", NAME, compute)
