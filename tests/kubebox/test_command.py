"""The developers' command understands what its help says."""

import pytest

from kubebox.command import main, parser
from kubebox.firewall import Firewall


def test_up_takes_nodes_and_a_firewall():
    told = parser().parse_args(["up", "dev", "--nodes", "2", "--firewall", "outbound-only,no-pod-egress"])
    assert (told.name, told.nodes) == ("dev", 2)
    assert told.firewall == Firewall(inbound=False, pods_egress=False)


def test_kubectl_passes_everything_on():
    assert parser().parse_args(["kubectl", "dev", "get", "pods", "-A"]).rest == ["get", "pods", "-A"]


def test_a_wrong_firewall_is_a_usage_error(capsys):
    with pytest.raises(SystemExit, match="2"):
        parser().parse_args(["up", "dev", "--firewall", "moat"])
    assert "--firewall" in capsys.readouterr().err


def test_a_cluster_that_does_not_run_is_named(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("KUBEBOX_HOME", str(tmp_path))
    assert main(["down", "nothing"]) == 1
    assert "no cluster nothing runs" in capsys.readouterr().err
