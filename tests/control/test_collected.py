"""What a site collected becomes versions of a data asset, wherever its bytes are."""

import pytest

from control_play import OWNER, WORKSPACE
from endpoint_play import NAME, UID, EndpointPlay
from ferryml.control import assets, deployments, journal, lineage
from ferryml.domain.errors import Refused
from ferryml.domain.link import Journal, JournalEntry, OutputRecord

COLLECT = {"sampling_rate": 0.5, "collections": {"request": {"enabled": "true"}, "response": {"enabled": "false"}}}
PLACED = {"path": "azureml://datastores/a/paths/b"}
ASSET = f"{NAME}-blue-request"


@pytest.fixture
def site(play):
    play.site()
    made = EndpointPlay(play)
    made.endpoint()
    return made


def told(site, tree, name="blue/request", bound=False, seq=1):
    grant = site.wish().grant
    record = OutputRecord(name=name, tree=tree, bound=bound)
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


@pytest.mark.parametrize(
    ("collection", "words"),
    [({"model_inputs": {"enabled": True}}, "scoring script"), ({"request": {"enabled": True, "data": PLACED}}, "path")],
)  # fmt: skip
def test_what_nobody_could_record_is_refused(site, collection, words):
    with pytest.raises(Refused, match=words) as caught:
        site.deploy(data_collector={"collections": collection})
    assert caught.value.code == "NotSupported"
    site.deploy("green", data_collector={"collections": {"model_inputs": {"enabled": False}}})
    assert deployments.list_deployments(site.deps, OWNER, WORKSPACE, NAME)[0]["name"] == "green"


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
