import threading

from ferryml.runner.door import Rejected
from ferryml.runner.logs import Shipper


class Taking:
    """The one call that a shipper makes, on the receiving side."""

    def __init__(self, known=None, refuse=None):
        self.logs, self.refuse = dict(known or {}), refuse

    def post_bytes(self, path, body):
        if self.refuse:
            raise self.refuse
        name, offset = path.partition("path=")[2].split("&offset=")
        held = self.logs.setdefault(name, b"")
        assert int(offset) <= len(held)
        self.logs[name] = held + body[len(held) - int(offset) :] if body else held
        return {"size": len(self.logs[name])}


def ship(door, tmp_path, most=1000, prefix="", fenced=lambda why: None):
    shipper = Shipper(door, str(tmp_path / "std"), str(tmp_path / "logs"), prefix, 0.01, most, fenced)
    shipper.start()
    assert shipper.finish(10)
    return shipper


def test_std_log_and_files_arrive_byte_for_byte(tmp_path):
    (tmp_path / "std").write_bytes(b"\xff\x00 out\n")
    (tmp_path / "logs/deep").mkdir(parents=True)
    (tmp_path / "logs/deep/a b.log").write_bytes(b"a")
    (tmp_path / "logs/link").symlink_to("/etc/hostname")
    door = Taking()
    ship(door, tmp_path, prefix="retry-001/")
    assert door.logs == {
        "retry-001/user_logs/std_log.txt": b"\xff\x00 out\n", "retry-001/logs/deep/a%20b.log": b"a",
    }  # fmt: skip


def test_what_an_earlier_runner_sent_is_not_sent_again(tmp_path):
    (tmp_path / "std").write_bytes(b"one two")
    door = Taking({"user_logs/std_log.txt": b"one "})
    ship(door, tmp_path)
    assert door.logs == {"user_logs/std_log.txt": b"one two"}


def test_a_log_without_end_is_cut_and_says_so(tmp_path):
    (tmp_path / "std").write_bytes(b"x" * 50)
    door = Taking()
    ship(door, tmp_path, most=20)
    kept = door.logs["user_logs/std_log.txt"]
    assert kept.startswith(b"x" * 20 + b"\n[ferry] this log has reached 20 bytes")
    assert kept.count(b"x") == 20


def test_a_log_that_just_fits_is_not_called_cut(tmp_path):
    (tmp_path / "std").write_bytes(b"x" * 20)
    door = Taking()
    ship(door, tmp_path, most=20)
    assert door.logs["user_logs/std_log.txt"] == b"x" * 20


def test_a_fenced_attempt_is_told_and_stops(tmp_path):
    (tmp_path / "std").write_bytes(b"x")
    told = threading.Event()
    shipper = ship(Taking(refuse=Rejected(403, "StaleAttempt", "newer")), tmp_path, fenced=lambda why: told.set())
    assert told.is_set()
    assert "StaleAttempt" in shipper.notes[0]
