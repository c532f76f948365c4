"""What an API server's refusals mean."""

from __future__ import annotations

from ferryml.backends.kubernetes.trouble import namespace_is_missing, not_made, over_quota, refusal
from ferryml.domain.errors import Refused, Unavailable


def test_a_missing_namespace_is_told_from_a_missing_object() -> None:
    assert namespace_is_missing(refusal(404, {"details": {"kind": "namespaces"}, "message": "not found"}))
    assert not namespace_is_missing(refusal(404, {"details": {"kind": "configmaps"}, "message": "not found"}))


def test_a_namespace_that_is_being_removed_is_as_good_as_missing() -> None:
    causes = [{"reason": "NamespaceTerminating"}]
    assert namespace_is_missing(refusal(403, {"reason": "Forbidden", "details": {"causes": causes}}))


def test_a_quota_is_told_from_a_policy() -> None:
    assert over_quota(refusal(403, {"message": "pods is forbidden: exceeded quota: q, requested: cpu=2"}))
    assert not over_quota(refusal(403, {"message": "admission webhook denied the request"}))


def test_an_unknown_field_in_an_apply_is_no_trouble_of_the_server() -> None:
    error = refusal(500, {"message": "failed to create typed patch object: .dta: field not declared in schema"})
    assert isinstance(error, Refused)
    assert error.code == "ClusterRefused"


def test_what_time_may_mend_is_told_from_what_people_must() -> None:
    full = not_made(refusal(403, {"message": "exceeded quota: q"}), "team")
    assert (type(full), full.code) == (Unavailable, "QuotaExceeded")
    gone = not_made(refusal(404, {"details": {"kind": "namespaces"}, "message": "not found"}), "team")
    assert (type(gone), gone.code) == (Refused, "NamespaceMissing")
    assert "kubectl create namespace team" in gone.hint
    assert not_made(refusal(403, {"message": "no"}), "team").code == "ClusterForbidden"
    assert isinstance(not_made(refusal(409, {"message": "changed"}), "team"), Unavailable)
