"""Logs of deployments: of the newest revision that has any, and never of another's."""

import pytest

from control_play import OWNER, WORKSPACE
from endpoint_play import NAME, EndpointPlay
from ferryml.control import deployment_logs
from ferryml.domain.errors import Refused


@pytest.fixture
def site(play):
    play.site()
    made = EndpointPlay(play)
    made.endpoint()
    return made


def test_logs_of_the_newest_revision_that_has_any(site):
    old = site.serving()
    with site.deps.store.begin() as tx:
        path = f"deployments/blue/{old}/inference-server.log"
        tx.append_log(WORKSPACE, f"endpoint.{WORKSPACE}.{NAME}", path, 0, b"one\ntwo\nthree\n")
    wanted = deployment_logs.Wanted

    def logs(**asked) -> str:
        return deployment_logs.get_logs(site.deps, OWNER, WORKSPACE, NAME, "blue", wanted(**asked))["content"]

    assert logs() == "one\ntwo\nthree\n"
    assert logs(lines=2) == "two\nthree\n"
    assert logs(container="storage-initializer") == ""
    site.update(environment_variables={"A": "1"})
    assert logs() == "one\ntwo\nthree\n"
    assert logs(revision=old) == "one\ntwo\nthree\n"
    for asked in ({"container": "../x"}, {"revision": "nope"}):
        with pytest.raises(Refused):
            logs(**asked)
