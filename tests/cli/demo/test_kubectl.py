"""kubectl as the demo calls it."""

import pytest

from ferryml.cli.demo.kubectl import Kubectl
from ferryml.domain.errors import Refused, Unavailable
from kubectl_play import a_kubectl


@pytest.fixture
def cluster(tmp_path):
    return Kubectl(tmp_path / "cloud.kubeconfig")


def test_it_names_its_cluster_each_time(cluster, tmp_path, monkeypatch):
    asked = a_kubectl(tmp_path, monkeypatch, "pod/a\npod/b\n")
    assert cluster.names("pods", "-n", "x") == {"pod/a", "pod/b"}
    assert asked() == [f"--kubeconfig {cluster.kubeconfig} get pods -o name --ignore-not-found -n x"]


def test_a_failure_has_its_reason(cluster, tmp_path, monkeypatch):
    a_kubectl(tmp_path, monkeypatch, refuses="delete pods")
    with pytest.raises(Unavailable, match=r"kubectl delete pods \(cloud.kubeconfig\): no such cluster"):
        cluster.run("delete", "pods")
    assert cluster.run("delete", "pods", check=False) == ""


def test_without_kubectl_it_says_what_to_install(cluster, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Refused, match="kubectl is not on PATH"):
        cluster.run("get", "pods")


def test_files_travel_as_an_archive(cluster, tmp_path, monkeypatch):
    asked = a_kubectl(tmp_path, monkeypatch)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.csv").write_text("1\n")
    cluster.copy(tmp_path / "data", "team", "plant", "/plant")
    assert "exec -i -n team plant -- tar -x --no-same-owner -f - -C /plant" in asked()[0]
