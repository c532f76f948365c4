"""Server and site in one process; the whole of it runs in tests/system."""

import socket

from ferryml.cli.local import LocalState
from ferryml.cli.together import choose_port


def test_the_port_is_told_remembered_or_free(tmp_path, monkeypatch, free_port):
    monkeypatch.delenv("FERRY_SERVER_PORT", raising=False)
    state = LocalState(tmp_path)
    assert choose_port(state, 5) == 5
    (tmp_path / "url").write_text(f"http://127.0.0.1:{free_port}\n")
    assert choose_port(state, None) == free_port
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port))
        taken.listen()
        assert choose_port(state, None) != free_port
    monkeypatch.setenv("FERRY_SERVER_PORT", "7")
    assert choose_port(state, None) == 7
