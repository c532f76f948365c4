"""`ferry agent`."""

import json
import stat

from ferryml.cli.agent import Way


def test_options_are_settings():
    assert Way(server_url="http://s", accept_zone_bound=True).options() == {
        "server_url": "http://s", "accept_zone_bound": True,
    }  # fmt: skip


def test_join_keeps_what_run_needs_and_makes_keys(typed, desk, alone):
    made = desk.client()
    token = made.sites.create({"name": "mine"})["join_token"]
    made.close()
    said = typed(
        "agent", "join", "--server", desk.target.url, "--token", token, "--state-dir", "s", "--accept-zone-bound"
    )
    assert said.code == 0, said.err
    assert "as site mine" in said.err
    kept = alone / "s" / "settings.json"
    assert json.loads(kept.read_text()) == {"server_url": desk.target.url, "accept_zone_bound": True}
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    again = typed("agent", "join", "--server", desk.target.url, "--token", token, "--state-dir", "t")
    assert (again.code, again.err.split()[1]) == (1, "[JoinTokenUsed]")


def test_run_without_a_token_says_what_is_missing(typed, desk):
    said = typed("agent", "run", "--server", desk.target.url, "--state-dir", "empty")
    assert (said.code, said.err.split()[-1]) != (0, "")
    assert "no join token" in said.err


def test_the_doctor_needs_a_way_to_a_cluster(typed, monkeypatch):
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        monkeypatch.delenv(name, raising=False)
    said = typed("agent", "doctor")
    assert said.code == 2
    assert "KUBECONFIG" in said.err
