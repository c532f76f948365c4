"""`ferry gateway`."""

from ferryml.gateway.database import Database
from ferryml.gateway.journal import Caller, Journal


def test_it_needs_a_cluster(typed, alone, monkeypatch):
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FERRY_CLUSTER_STATE_DIR", str(alone / "state"))
    said = typed("gateway", "run")
    assert said.code != 0
    assert "KUBECONFIG" in said.err


def test_kept_logs_are_read_where_they_are(typed, alone, monkeypatch):
    said = typed("gateway", "logs")
    assert (said.code, "no journal" in said.err) == (1, True)
    state = alone / "state"
    journal = Journal(Database(state / "gateway.db"), 1 << 20)
    caller = Caller("job.team.j", 1, "team", "grant")
    journal.admit(caller, "")
    journal.append_log(caller, "user_logs/std_log.txt", 0, b"only here\n", held=True)
    monkeypatch.setenv("FERRY_SITE_STATE_DIR", str(state))
    assert typed("gateway", "logs", "--query", "[0].job", "-o", "tsv").out == "j\n"
    assert typed("gateway", "logs", "j", "-w", "team", "-p", "user_logs/std_log.txt").out == "only here\n"
    assert typed("gateway", "logs", "j", "-p", "user_logs/std_log.txt").code == 1
