"""A grant names exactly what its order needs, and carries what binds it."""

import pytest

from control_play import bound_job
from ferryml.control import grants
from ferryml.domain.errors import Forbidden
from ferryml.domain.orders import EndpointOrder, EnvironmentOrder, Residency, RevisionOrder, TreeRef

TREE = TreeRef(digest="sha256:" + "a" * 64)


def endpoint(*residencies: Residency) -> EndpointOrder:
    revisions = tuple(
        RevisionOrder(
            revision=f"r{n}", deployment="blue", flavor="mlflow", model=TREE, environment=EnvironmentOrder(key="k"),
            residency=residency,
        )
        for n, residency in enumerate(residencies)
    )  # fmt: skip
    return EndpointOrder(workspace="team", name="digits", compute="c1", revisions=revisions)


def test_a_job_s_grant(play):
    name = bound_job(play, release={"metrics": "allow"})
    claims = grants.verified(play.deps, play.grant("onprem", name), "onprem")
    assert (claims.kind, claims.name, claims.workspace) == ("Job", name, "team")
    assert set(claims.writes) == {"outputs", "logs", "mlflow"}
    assert grants.residency(claims) == Residency(zones=("onprem",), release=("metrics",))


def test_an_endpoint_s_grant_is_bound_by_all_its_revisions(play):
    order = endpoint(Residency(), Residency(zones=("a", "b"), release=("models",)), Residency(zones=("b",), release=()))
    claims = grants.verified(play.deps, grants.signer(play.deps, "edge", order)(3), "edge")
    assert (claims.uid, claims.generation, claims.reads) == ("endpoint.team.digits", 3, (TREE.digest,))
    assert (claims.zones, claims.release) == (("b",), ())


@pytest.mark.parametrize("token", ["", "a.b.c", "\0"])
def test_what_nobody_signed_opens_nothing(play, token):
    with pytest.raises(Forbidden):
        grants.verified(play.deps, token, "edge")
