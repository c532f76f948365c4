"""What people of a cluster see of deployments."""

from __future__ import annotations

from typing import Any

from ferryml.backends.kubernetes.kinds import ONLINE_DEPLOYMENTS
from ferryml.backends.kubernetes.online_deployments import OnlineDeployments
from ferryml.compile.kubernetes.pods import Owner
from ferryml.domain.orders import EndpointOrder, EnvironmentOrder, RevisionOrder
from ferryml.domain.statuses import EndpointStatus, RevisionStatus
from kube_play import PlayKube

UID = "endpoint.w.e"
OWNER = Owner("OnlineEndpoint", "e-x", "uid-1")


def a_revision(name: str, deployment: str = "blue") -> RevisionOrder:
    return RevisionOrder(
        revision=name, deployment=deployment, flavor="script", environment=EnvironmentOrder(key="k"),
        model_name=f"model:{name}:1",
    )  # fmt: skip


def an_order(*revisions: RevisionOrder, **fields: Any) -> EndpointOrder:
    return EndpointOrder(workspace="w", name="e", compute="c", namespace="default", revisions=revisions, **fields)


def a_status(*revisions: RevisionStatus, **weights: int) -> EndpointStatus:
    return EndpointStatus(state="Updating", revisions=revisions, weights=weights)


def told(revision: str, state: str, ready: int, **more: Any) -> RevisionStatus:
    return RevisionStatus(revision=revision, deployment="blue", state=state, ready=ready, wanted=2, **more)


def test_a_deployment_shows_what_serves_and_what_keeps_the_next() -> None:
    kube, order = PlayKube(), an_order(a_revision("old"), a_revision("new"), serving={"blue": "old"})
    status = a_status(
        told("old", "Succeeded", 2), told("new", "Failed", 0, code="PodOutOfMemory", reason="too big"), old=100
    )
    OnlineDeployments(kube).show(UID, order, status, OWNER)
    (body,) = kube.list(ONLINE_DEPLOYMENTS).items
    assert body["status"] == {
        "state": "Failed", "ready": 2, "wanted": 2, "traffic": 100, "code": "PodOutOfMemory", "reason": "too big",
    }  # fmt: skip
    assert (body["spec"]["revision"], body["spec"]["candidate"], body["spec"]["model"]) == ("old", "new", "model:old:1")
    assert body["metadata"]["ownerReferences"][0]["name"] == "e-x"


def test_only_what_changed_is_written() -> None:
    kube, order = PlayKube(), an_order(a_revision("old"))
    shown = OnlineDeployments(kube)
    shown.show(UID, order, a_status(told("old", "Creating", 0)), OWNER)
    writes = len(kube.log)
    shown.show(UID, order, a_status(told("old", "Creating", 0)), OWNER)
    assert len(kube.log) == writes
    shown.show(UID, order, a_status(told("old", "Succeeded", 2)), OWNER)
    assert kube.list(ONLINE_DEPLOYMENTS).items[0]["status"]["state"] == "Succeeded"


def test_a_deployment_that_is_gone_goes_here_too_even_for_another_agent() -> None:
    kube = PlayKube()
    both = an_order(a_revision("old"), a_revision("g", "green"))
    OnlineDeployments(kube).show(UID, both, a_status(), OWNER)
    assert len(kube.list(ONLINE_DEPLOYMENTS).items) == 2
    OnlineDeployments(kube).show(UID, an_order(a_revision("old")), a_status(), OWNER)
    assert [one["spec"]["deployment"] for one in kube.list(ONLINE_DEPLOYMENTS).items] == ["blue"]
