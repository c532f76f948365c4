import json
import threading

from ferryml.runner.door import Rejected
from ferryml.runner.report import PodState, Reporter


class Taking:
    """A door that takes states, the first one only when it is let."""

    def __init__(self, refuse=0):
        self.taken, self.go, self.entered = [], threading.Event(), threading.Event()
        self._refuse = refuse

    def post_json(self, path, value):
        assert path == "/v1/state"
        self.entered.set()
        assert self.go.wait(5)
        if self._refuse:
            raise Rejected(self._refuse, "StaleAttempt", "over")
        self.taken.append(value)


def test_only_the_newest_word_is_sent():
    door = Taking()
    reporter = Reporter(door, 2)
    reporter.tell({"phase": "staging"})
    assert door.entered.wait(5)
    for phase in ("running", "collecting", "done"):
        reporter.tell({"phase": phase})
    door.go.set()
    assert reporter.finish(5)
    assert door.taken == [{"rank": 2, "phase": "staging"}, {"rank": 2, "phase": "done"}]


def test_waiting_for_it_has_an_end():
    door = Taking()
    reporter = Reporter(door, 0)
    reporter.tell({"phase": "done"})
    assert not reporter.finish(0.05)
    door.go.set()
    assert reporter.finish(5)


def test_an_attempt_that_is_over_says_no_more():
    door = Taking(refuse=403)
    door.go.set()
    reporter = Reporter(door, 0)
    reporter.tell({"phase": "running"})
    reporter._thread.join(5)
    reporter.tell({"phase": "done"})
    assert not reporter.finish(0.05)


def test_the_state_is_on_disk_and_told(tmp_path):
    door = Taking()
    door.go.set()
    reporter = Reporter(door, 0)
    state = PodState(str(tmp_path), reporter)
    state.note("said once")
    state.save(phase="running", message="x", usage={"cpu_usec": 5})
    assert reporter.finish(5)
    told = door.taken[-1]
    assert (told["phase"], told["notes"], told["usage"]) == ("running", ["said once"], {"cpu_usec": 5})
    assert "receipt" not in told
    assert json.loads((tmp_path / "state.json").read_text())["phase"] == "running"
    assert PodState(str(tmp_path), reporter).load().message == "x"
