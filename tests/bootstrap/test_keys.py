"""The key file: private, stable, and nothing opens without it."""

import stat
import threading

import pytest

from ferryml.bootstrap.keys import FileKeys, write_secret
from ferryml.domain.errors import Forbidden, Refused
from ferryml.domain.link import Grant

GRANT = Grant(iss="s", site="edge", uid="job.w.j", generation=1, workspace="w", kind="Job", name="j")


def test_keys_are_made_once_for_their_owner_only(tmp_path):
    file = tmp_path / "keys" / "server.json"
    first, second = FileKeys(file), FileKeys(file)
    assert (first.server_id, first.public_key()) == (second.server_id, second.public_key())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.chmod(0o644)
    FileKeys(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_two_that_start_together_agree(tmp_path):
    made = []
    threads = [threading.Thread(target=lambda: made.append(FileKeys(tmp_path / "k").server_id)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 1


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"server_id": "x", "signing": "?", "sealing": "?"}'])
def test_a_damaged_file_is_said_to_be_one_and_kept(tmp_path, text):
    file = tmp_path / "k"
    file.write_text(text)
    with pytest.raises(Refused):
        FileKeys(file)
    assert file.read_text() == text


def test_grants_of_this_server_only(tmp_path):
    mine, theirs = FileKeys(tmp_path / "a"), FileKeys(tmp_path / "b")
    assert mine.verify_grant(mine.sign_grant(GRANT)) == GRANT
    for token in (theirs.sign_grant(GRANT), "", "a.b.c", mine.sign_grant(GRANT)[:-4]):
        with pytest.raises(Forbidden):
            mine.verify_grant(token)


def test_what_is_sealed_is_not_readable_and_not_forgeable(tmp_path):
    mine, theirs = FileKeys(tmp_path / "a"), FileKeys(tmp_path / "b")
    sealed = mine.seal("secret ü")
    assert "secret" not in sealed
    assert mine.unseal(sealed) == "secret ü"
    for other in (theirs.seal("secret"), sealed[:-2], "", "ü"):
        with pytest.raises(Refused):
            mine.unseal(other)


def test_a_secret_file_is_never_overwritten(tmp_path):
    file = tmp_path / "s"
    write_secret(file, "first")
    write_secret(file, "second")
    assert file.read_text() == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["s"]
