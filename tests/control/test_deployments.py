"""Deployments: a new revision beside the old one, taken over or thrown away, and nothing lost on the way."""

import pytest

from control_play import OWNER, WORKSPACE
from endpoint_play import NAME, EndpointPlay
from ferryml.control import deployments, lineage
from ferryml.domain.errors import Conflict, FerryError, NotFound, Refused
from ferryml.domain.statuses import RevisionStatus


@pytest.fixture
def site(play):
    play.site()
    made = EndpointPlay(play)
    made.endpoint()
    return made


def code(caught) -> str:
    return caught.value.code


def test_a_first_deployment(site):
    made = site.deploy()
    assert made["provisioning_state"] == "Creating"
    order = site.order()
    (revision,) = order.revisions
    assert (order.rollout.champion, order.rollout.candidate) == (None, revision.revision)
    assert (order.rollout.steps, order.serving, order.traffic) == ((), {}, {})
    site.says("preparing", ready=False)
    assert site.shown()["provisioning_state"] == "Creating"
    site.says("promoted")
    made = site.shown()
    assert (made["provisioning_state"], made["ferry"]["serving"]) == ("Succeeded", revision.revision)
    order = site.order()
    assert (order.rollout, order.serving, order.traffic) == (None, {"blue": revision.revision}, {})


def test_all_traffic_is_done_when_it_flows(site):
    site.deploy(all_traffic=True)
    site.says("promoted")
    assert site.order().traffic == {"blue": 100}
    assert site.shown()["provisioning_state"] == "Updating"
    site.says()
    assert (site.shown()["provisioning_state"], site.shown()["traffic"]) == ("Succeeded", 100)


def test_an_update_is_a_revision_beside_the_old(site):
    old = site.serving()
    made = site.update(code_configuration={"code": site.code(b"x = 2"), "scoring_script": "score.py"})
    assert made["provisioning_state"] == "Updating"
    order = site.order()
    assert {one.revision for one in order.revisions} == {old, order.rollout.candidate}
    assert (order.rollout.champion, order.serving) == (old, {"blue": old})
    site.says("promoted")
    order = site.order()
    assert order.serving["blue"] != old
    assert [one.revision for one in order.revisions] == [order.serving["blue"]]


def test_a_failed_update_leaves_no_trace_in_what_serves(site):
    old, before = site.serving(), site.shown()
    site.update(environment_variables={"A": "1"})
    candidate = site.order().rollout.candidate
    told = RevisionStatus(
        revision=candidate, deployment="blue", state="Failed", code="UserScriptInitFailed", traceback="Traceback: boom"
    )
    site.says("failed", revisions=(told,))
    made = site.shown()
    assert (made["provisioning_state"], made["ferry"]["code"]) == ("Failed", "UserScriptInitFailed")
    assert made["ferry"]["traceback"] == "Traceback: boom"
    assert (made["ferry"]["serving"], made["environment_variables"]) == (old, before["environment_variables"])
    assert [one.revision for one in site.order().revisions] == [old]
    site.update(environment_variables={"A": "2"})
    site.says("promoted")
    assert site.shown()["provisioning_state"] == "Succeeded"
    assert site.shown()["environment_variables"] == {"A": "2"}


def test_asking_for_what_serves_forgets_a_failure(site):
    old, before = site.serving(), site.shown()
    site.update(environment_variables={"A": "1"})
    site.says("failed")
    site.update(description="a word does not")
    assert site.shown()["provisioning_state"] == "Failed"
    site.update(environment_variables=before["environment_variables"])
    made = site.shown()
    assert (made["provisioning_state"], made["ferry"]["reason"], made["ferry"]["serving"]) == ("Succeeded", "", old)


def test_a_failed_first_deployment_can_be_mended(site):
    site.deploy()
    site.says("failed")
    assert site.shown()["provisioning_state"] == "Failed"
    assert site.order().revisions == ()
    with pytest.raises(Conflict) as caught:
        site.deploy()
    assert code(caught) == "AlreadyExists"
    site.update(description="again")
    assert site.order().rollout.champion is None
    site.says("promoted")
    assert site.shown()["provisioning_state"] == "Succeeded"


def test_counts_and_limits_change_what_runs(site):
    revision = site.serving()
    site.update(instance_count=3, request_settings={"request_timeout_ms": 9000})
    order = site.order()
    assert order.rollout is None
    assert (order.revisions[0].revision, order.revisions[0].instances) == (revision, 3)
    assert order.revisions[0].request_timeout_ms == 9000
    site.says(ready=False)
    assert site.shown()["provisioning_state"] == "Updating"
    site.says()
    assert (site.shown()["provisioning_state"], site.shown()["instance_count"]) == ("Succeeded", 3)


def test_words_change_nothing_that_runs(site):
    site.serving()
    before = site.wish().generation
    assert site.update(description="hello")["description"] == "hello"
    assert site.wish().generation == before


def test_the_instance_type_stays(site, play):
    play.beat("cloud", instance_types={"big": {}, "small": {}})
    site.serving(instance_type="big")
    with pytest.raises(Refused, match="instance_type"):
        site.update(instance_type="small")
    assert site.update(instance_type="big", description="x")["instance_type"] == "big"


def test_the_sites_scale_settings(site):
    scale = {"type": "target_utilization", "min_instances": 2, "max_instances": 5}
    site.deploy(scale_settings=scale, instance_count=1)
    (revision,) = site.order().revisions
    assert (revision.instances, revision.max_instances, revision.target_utilization) == (2, 5, 70)


def test_a_count_without_scale_settings_is_fixed(site):
    site.deploy(instance_count=3)
    (revision,) = site.order().revisions
    assert (revision.instances, revision.max_instances, revision.target_utilization) == (3, 3, 0)


def test_delete_waits_for_traffic_to_leave(site):
    site.serving()
    site.traffic(blue=100)
    with pytest.raises(Conflict) as caught:
        deployments.delete(site.deps, OWNER, WORKSPACE, NAME, "blue")
    assert code(caught) == "InUse"
    assert "--traffic blue=0" in caught.value.hint
    site.traffic(blue=0)
    deployments.delete(site.deps, OWNER, WORKSPACE, NAME, "blue")
    assert site.shown()["provisioning_state"] == "Deleting"
    assert site.order().revisions == ()
    site.says()
    with pytest.raises(NotFound):
        site.shown()
    site.serving()


def test_names_are_unique_in_the_endpoint_only(site):
    site.serving()
    site.serving("green")
    names = [one["name"] for one in deployments.list_deployments(site.deps, OWNER, WORKSPACE, NAME)]
    assert sorted(names) == ["blue", "green"]
    assert site.shown("green")["id"].endswith("/online-endpoints/digits/deployments/green")


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"name": "x" * 40}, "BadName"), ({"endpoint_name": "other"}, "BadValue"), ({"modell": 1}, "UnknownField"),
        ({"code_configuration": None}, "BadArgument"), ({"environment": "azureml:absent:1"}, "NotFound"),
        ({"model": "azureml:absent@latest"}, "NotFound"), ({"instance_count": 0}, "BadValue"),
        ({"request_settings": {"request_timeout_ms": 10**7}}, "BadValue"),
        ({"code_configuration": {"code": "./src", "scoring_script": "s.py"}}, "BadReference"),
        ({"code_configuration": {"code": "x", "scoring_script": "../s.py"}}, "PathEscapes"),
    ],
)  # fmt: skip
def test_what_can_never_serve_is_refused_whole(site, changes, wanted):
    before = site.wish().generation
    with pytest.raises(FerryError) as caught:
        site.deploy(**changes)
    assert code(caught) == wanted
    assert deployments.list_deployments(site.deps, OWNER, WORKSPACE, NAME) == []
    assert site.wish().generation == before


def test_back_to_the_one_before(site):
    from ferryml.control.deployments import roll, straight
    from ferryml.domain.spec.deployment import OnlineDeployment

    first = site.serving()

    def keeping(champion, candidate):
        return straight(champion, candidate).model_copy(update={"rollout": "r1", "keep_previous_s": 3600})

    spec = OnlineDeployment.model_validate(site.document(description="new"))
    second = roll(site.deps, OWNER, WORKSPACE, NAME, spec, keeping)
    site.says("promoted")
    assert {one.revision for one in site.order().revisions} == {first, second}
    assert site.order().serving == {"blue": second}
    assert deployments.back(site.deps, OWNER, WORKSPACE, NAME, "blue", straight) == first
    assert (site.order().rollout.champion, site.order().rollout.candidate) == (second, first)
    site.says("promoted")
    assert (site.shown()["ferry"]["serving"], site.shown()["description"]) == (first, "")
    with pytest.raises(Refused, match="keeps no earlier"):
        deployments.back(site.deps, OWNER, WORKSPACE, NAME, "blue", straight)


def test_a_prediction_can_be_traced(site):
    revision = site.serving()
    found = lineage.trace(site.deps, OWNER, WORKSPACE, f"{revision}-{'0' * 16}")
    assert (found["endpoint"], found["deployment"], found["revision"]) == (NAME, "blue", revision)
    assert found["code"]
    assert found["environments"]


def test_put_replaces_the_whole(site):
    site.serving(environment_variables={"A": "1"})
    made = deployments.put(site.deps, OWNER, WORKSPACE, NAME, "blue", site.document(description="d"))
    assert (made["environment_variables"], made["description"]) == ({}, "d")
    site.says("promoted")
    made = deployments.put(site.deps, OWNER, WORKSPACE, NAME, "red", site.document("red"))
    assert made["provisioning_state"] == "Creating"


def test_an_endpoint_has_at_most_20(site, monkeypatch):
    monkeypatch.setattr(deployments, "MAX_PER_ENDPOINT", 2)
    site.serving("one")
    site.serving("two")
    with pytest.raises(Refused) as caught:
        site.deploy("three")
    assert code(caught) == "LimitExceeded"
