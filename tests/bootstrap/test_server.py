"""The program: refuses to be careless, makes what is missing, keeps what is there."""

import stat

import pytest

from control_play import Play
from ferryml.bootstrap.server import HOOKS, LOOPS, check_exposure, ensure_admin_token
from ferryml.control import tokens
from ferryml.domain.errors import Refused
from ferryml.settings.server import ServerSettings


@pytest.fixture
def play(tmp_path):
    made = Play(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_loopback_needs_no_tls(host):
    check_exposure(ServerSettings(host=host))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org"])
def test_anything_else_does(host, tmp_path):
    with pytest.raises(Refused, match="TLS"):
        check_exposure(ServerSettings(host=host))
    check_exposure(ServerSettings(host=host, allow_insecure=True))
    check_exposure(ServerSettings(host=host, tls_cert=tmp_path / "c", tls_key=tmp_path / "k"))


def test_the_admin_token_is_made_once_and_again_when_it_is_no_good(play):
    first = ensure_admin_token(play.deps)
    file = play.settings.state_dir / "admin.token"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert ensure_admin_token(play.deps) == first
    caller = tokens.verify(play.deps, first)
    assert (caller.role, caller.workspace) == ("owner", "*")
    tokens.revoke(play.deps, caller, "*", caller.token)
    second = ensure_admin_token(play.deps)
    assert second != first
    assert file.read_text().strip() == second


def test_every_kind_of_report_has_a_hook_and_every_loop_a_name():
    assert set(HOOKS) == {"Job", "Endpoint", "Feedback", "Gone"}
    assert len({loop.name for loop in LOOPS}) == len(LOOPS)
