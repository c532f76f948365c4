"""`ferry gateway`."""


def test_it_needs_a_cluster(typed, alone, monkeypatch):
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FERRY_CLUSTER_STATE_DIR", str(alone / "state"))
    said = typed("gateway", "run")
    assert said.code != 0
    assert "KUBECONFIG" in said.err
