"""Why the API takes no pods, in the API's own words."""

import pytest

from explain_play import checks, facts_of, first, recorded, refused
from ferryml.domain.explain import Facts


@pytest.mark.parametrize(
    ("state", "check", "code", "cause"),
    [
        ("job-quota", "quota.exceeded", "OutOfQuota", "can never hold it: 2 of requests.cpu asked for"),
        ("job-quotabusy", "quota.exceeded", "OutOfQuota", "400m of 500m in use"),
        ("job-quotasay", "quota.must-say", "OutOfQuota", "requests.memory"),
        ("job-security", "security.standard", "AdmissionDenied", "restricted:latest"),
        ("job-limits", "limits.range", "AdmissionDenied", "a maximum of 1 cpu per Container"),
        ("job-limitsmin", "limits.range", "AdmissionDenied", "a minimum of 16Mi memory"),
        ("job-noaccount", "account.missing", "ServiceAccountMissing", "nobody"),
        ("job-noprio", "class.priority", "ClassMissing", "urgent"),
        ("job-noruntime", "class.runtime", "ClassMissing", "gvisor"),
        ("job-hook", "webhook.down", "AdmissionDenied", "guard.explain.example"),
        ("job-policy", "policy.denied", "AdmissionDenied", "every pod needs a label team"),
    ],
)
def test_recorded_states(state, check, code, cause):
    found = first(facts_of(state))
    assert (found.check, found.code) == (check, code)
    assert cause in found.cause
    assert checks(facts_of(state)) == [check]


@pytest.mark.parametrize(
    ("name", "check"),
    [
        ("nsmissing", "namespace.missing"),
        ("nsdying", "namespace.terminating"),
        ("invalid", "admission.invalid"),
        ("toolarge", "admission.invalid"),
        ("toolarge2", "size.too-large"),
        ("rights", "rights.missing"),
    ],
)
def test_recorded_refusals(name, check):
    text = recorded()["refusals"][name].removeprefix("Error from server ").partition("): ")
    facts = refused(text[2] or text[0])
    assert first(facts).check == check


@pytest.mark.parametrize(
    ("message", "check"),
    [
        ('admission webhook "gate.example" denied the request: no latest tags', "webhook.denied"),
        ("unable to validate against any security context constraint: [provider restricted]", "security.scc"),
        ("cpu max limit to request ratio per Container is 4, but provided ratio is 20", "limits.ratio"),
        ("the cluster has moods", "admission.other"),
    ],
)
def test_other_words(message, check):
    assert checks(refused(message)) == [check]


def test_quota_that_time_frees_is_a_warning():
    assert first(facts_of("job-quotabusy")).level == "warning"
    assert first(facts_of("job-quota")).level == "failed"


def test_a_full_quota_is_seen_before_anyone_says_so():
    assert checks(Facts(quotas=tuple(recorded()["quotas"]))) == []
    full = {"metadata": {"name": "team"}, "status": {"hard": {"pods": "2"}, "used": {"pods": "2"}}}
    assert checks(Facts(quotas=(full,))) == ["quota.full"]


def test_a_namespace_that_is_being_deleted():
    found = first(Facts(namespace=recorded()["dying"]))
    assert (found.check, found.code) == ("namespace.terminating", "NamespaceMissing")
