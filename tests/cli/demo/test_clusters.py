"""Which clusters the demo takes, and what it does to them; the whole of it runs in tests/system_kubernetes."""

import pytest

from ferryml.cli.demo.clusters import ENVIRONMENTS, SYSTEM, TEAM, Clusters, ClusterStage, chosen
from ferryml.domain.errors import Refused
from kubectl_play import a_kubectl

HOST = "ferry.example"


@pytest.fixture
def files(tmp_path):
    made = tmp_path / "cloud.kubeconfig", tmp_path / "onprem.kubeconfig"
    for file in made:
        file.write_text("{}")
    return made


def test_files_come_from_the_line_or_from_the_environment(files, monkeypatch):
    line = f"{files[0]}:{files[1]}"
    monkeypatch.delenv("FERRY_TEST_KUBECONFIG", raising=False)
    assert chosen(line, HOST, None) == Clusters(files, HOST)
    monkeypatch.setenv("FERRY_TEST_KUBECONFIG", line)
    assert chosen(None, HOST, files[0]) == Clusters(files, HOST, files[0])


@pytest.mark.parametrize(
    ("line", "host", "code"),
    [
        ("", HOST, "Usage"), ("{0}", HOST, "Usage"), ("{0}:{0}", HOST, "Usage"), ("{0}:{1}:{0}", HOST, "Usage"),
        ("{0}:{0}.not-there", HOST, "FileNotFound"), ("{0}:{1}", None, "Usage"),
    ],
)  # fmt: skip
def test_what_is_missing_is_said(files, monkeypatch, line, host, code):
    monkeypatch.delenv("FERRY_TEST_KUBECONFIG", raising=False)
    with pytest.raises(Refused) as refused:
        chosen(line.format(*files), host, None)
    assert refused.value.code == code
    assert refused.value.hint


def test_a_cluster_with_ferry_in_it_is_left_alone(files, tmp_path, monkeypatch):
    asked = a_kubectl(tmp_path, monkeypatch, f"namespace/default\nnamespace/{SYSTEM}")
    stage = ClusterStage(tmp_path / "demo", False, Clusters(files, HOST))
    with pytest.raises(Refused, match=f"cloud has the namespace {SYSTEM} already"):
        stage.serve()
    stage.stop()
    assert not [line for line in asked() if "delete" in line or "apply" in line]


def test_what_was_begun_is_taken_back(files, tmp_path, monkeypatch):
    """Also where the second cluster cannot be used."""
    asked = a_kubectl(
        tmp_path, monkeypatch, "customresourcedefinition/old.ferryml.dev", refuses=f"{files[1]} get namespaces"
    )
    stage = ClusterStage(tmp_path / "demo", False, Clusters(files, HOST))
    with pytest.raises(Exception, match="no such cluster"):
        stage.serve()
    stage.stop()
    deleted = [line.split(" delete ")[1] for line in asked() if " delete " in line]
    assert [line.split(" --")[0] for line in deleted] == [
        "deployments,replicasets", "pods", f"namespace {SYSTEM} {ENVIRONMENTS} {TEAM}",
        "clusterroles,clusterrolebindings -l app.kubernetes.io/part-of=ferry",
    ]  # fmt: skip
    assert all(str(files[0]) in line for line in asked() if " delete " in line)
