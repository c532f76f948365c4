"""Where the API server keeps what Ferry reads and writes."""

import pytest

from ferryml.backends.kubernetes.kinds import NODES, PODS, Kind


@pytest.mark.parametrize(
    ("kind", "asked", "path"),
    [
        (PODS, {}, "/api/v1/pods"),
        (PODS, {"namespace": "a", "name": "p", "part": "log"}, "/api/v1/namespaces/a/pods/p/log"),
        (NODES, {"namespace": "a", "name": "n"}, "/api/v1/nodes/n"),
        (Kind("batch", "v1", "Job", "jobs"), {"namespace": "a"}, "/apis/batch/v1/namespaces/a/jobs"),
    ],
)
def test_paths(kind: Kind, asked: dict[str, str], path: str) -> None:
    assert kind.path(**asked) == path


def test_the_core_group_has_no_name() -> None:
    assert PODS.api_version == "v1"
    assert Kind("batch", "v1", "Job", "jobs").api_version == "batch/v1"
