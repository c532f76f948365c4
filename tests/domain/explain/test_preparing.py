"""Why environments and files do not come."""

import pytest

from explain_play import checks, facts_of, first
from ferryml.domain.explain import Facts


@pytest.mark.parametrize(
    ("message", "check"),
    [
        ("Because no-such-pkg was not found in the package registry and you require it", "environment.package"),
        ("ERROR: No matching distribution found for torch==99", "environment.package"),
        ("error: No interpreter found for Python 3.13 in managed installations", "environment.python"),
        ("a requires Python >=3.12", "environment.needs-python"),
        ("Because a depends on b<1 and c depends on b>2, a and c are incompatible.", "environment.conflict"),
        ("Failed to fetch: 401 Unauthorized", "environment.index-denied"),
        ("error sending request for url: Connection refused", "environment.index"),
        ("Hash mismatch for `a==1`", "environment.hash"),
        ("Failed to build `a==1`: command 'gcc' failed", "environment.build"),
        ("conda package cudatoolkit is not mapped", "environment.conda"),
        ("the preparation was OOMKilled", "environment.memory"),
        ("OSError: No space left on device", "environment.disk"),
        ("it took longer than 1800 s", "environment.time"),
        ("what nobody knows", "environment.other"),
    ],
)
def test_environments(message, check):
    seen = {"state": "failed", "code": "EnvironmentFailed", "message": message}
    assert first(Facts(environment=seen)).check == check


def test_an_environment_in_the_making_is_no_cause():
    assert checks(Facts(environment={"state": "making", "progress": "resolving"})) == []


@pytest.mark.parametrize(
    ("code", "message", "check"),
    [
        ("DiskFull", "12 GiB do not fit", "staging.disk"),
        ("DigestMismatch", "sha256:1", "staging.digest"),
        ("StagingFailed", "BlobMissing: data.csv", "staging.missing"),
        ("BadGrant", "not for you", "staging.denied"),
        ("PathEscapes", "../x", "staging.path"),
        ("UploadFailed", "the gateway's disk is full", "outputs.lost"),
        ("StagingFailed", "tar is damaged", "staging.other"),
    ],
)
def test_the_runner(code, message, check):
    assert checks(Facts(runner={0: {"phase": "done", "code": code, "message": message}})) == [check]


def test_the_last_words_of_stage_in_its_pod():
    found = first(facts_of("initfail"))
    assert (found.check, found.code) == ("staging.other", "StagingFailed")
