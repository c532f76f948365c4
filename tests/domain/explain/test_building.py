"""Why an image could not be built."""

import pytest

from explain_play import first
from ferryml.domain.explain import Facts

PULL = "pulling the base image r.local/team/base:1 failed; "
PUSH = "pushing r.local/ferry/e:1 failed; "


@pytest.mark.parametrize(
    ("message", "check", "words"),
    [
        (
            PULL + "Error: reading manifest 1 in r.local/team/base: manifest unknown",
            "build.base",
            "r.local/team/base:1",
        ),
        (PULL + "Error: unauthorized: authentication required", "build.base-denied", "r.local/team/base:1"),
        (PULL + "dial tcp 10.0.0.1:443: connect: connection refused", "build.base-away", "r.local/team/base:1"),
        (PULL + "x509: certificate signed by unknown authority", "build.base-tls", "r.local/team/base:1"),
        (PUSH + "denied: requested access to the resource is denied", "build.push-denied", "r.local/ferry/e:1"),
        (PUSH + "received unexpected HTTP status: 500", "build.push", "r.local/ferry/e:1"),
        ("the Secret with the registry's password (build_secret of the site) is not there", "build.secret", "Secret"),
        ("OOMKilled: building the image took more memory than build_memory", "build.memory", "memory"),
        ("the build took longer than 60 s (build_timeout_s of the site)", "build.time", "longer"),
        ("the build failed at STEP 3/3: RUN x; write /a: No space left on device", "build.disk", "disk"),
        ("the build failed; cannot clone: newuidmap: write to uid_map failed", "build.rights", "user namespaces"),
        ("the build failed at STEP 2/3: RUN make; make: no rule", "build.command", "STEP 2/3: RUN make of the Docker"),
        ("what nobody knows", "build.other", "what nobody knows"),
    ],
)
def test_builds(message, check, words):
    found = first(Facts(environment={"state": "failed", "code": "ImageBuildFailed", "message": message}))
    assert (found.check, found.code) == (check, "ImageBuildFailed")
    assert words in found.cause


def test_packages_that_cannot_be_made_are_no_builds():
    seen = {"state": "failed", "code": "EnvironmentFailed", "message": "Failed to build `a==1`: gcc failed"}
    assert first(Facts(environment=seen)).check == "environment.build"
