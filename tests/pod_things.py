"""Orders, launches and a cluster for the tests of this folder."""

from ferryml.compile.environment import environment_order
from ferryml.compile.kubernetes.cluster import cluster_of
from ferryml.compile.kubernetes.job import Attempt, make_attempt
from ferryml.domain.orders import JobOrder, TreeRef
from ferryml.domain.seen import Launch
from ferryml.domain.spec.instance_type import BUILT_IN
from ferryml.settings.cluster import ClusterSettings
from ferryml.settings.site import SiteSettings

REF = TreeRef(digest="sha256:" + "a" * 64)
UID = "job.w.j"


def a_cluster(**changes):
    known = {"gateway_url": "https://ferry-gateway.ferry-system.svc:8443", "ca": "PEM", "main_sh": "exit 0\n"}
    dumped = SiteSettings().model_dump(), ClusterSettings().model_dump()
    return cluster_of(*dumped, **{**known, "prepare_sh": "exit 0\n", **changes})


def an_order(**fields):
    return JobOrder.model_validate(
        {"workspace": "w", "name": "j", "compute": "c", "command": "true", "environment": environment_order(), **fields}
    )


def a_launch(attempt=1, previous=None, **order):
    return Launch(
        uid=UID, attempt=attempt, order=an_order(**order), gateway_url="https://g", token="", env_key="k",
        previous_outputs=previous or {},
    )  # fmt: skip


def an_attempt(cluster=None, instance_type=BUILT_IN, claims=(), environment=None, **order):
    attempt = Attempt(
        a_launch(**order), "team", instance_type, claims=tuple(claims), environment=environment, owner=None
    )
    return make_attempt(attempt, cluster or a_cluster())
