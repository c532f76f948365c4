"""What is said beside the answer."""

import io

from ferryml.cli.talk import Talk


def test_each_thing_is_said_once_and_in_words():
    stream = io.StringIO()
    talk = Talk(stream=stream)
    job = {"name": "j", "status": "Queued", "ferry": {"reason": "no room"}}
    talk.state(job)
    talk.state(job)
    talk.state({"name": "e", "provisioning_state": "Succeeded"})
    talk.warn("odd")
    with talk.busy("working"):
        talk.bytes(1, 2)
    assert stream.getvalue() == "j: Queued (no room)\ne: Succeeded\nWarning: odd\n"


def test_quiet_is_quiet():
    stream = io.StringIO()
    talk = Talk(quiet=True, stream=stream)
    talk.note("x")
    talk.now("y")
    assert stream.getvalue() == ""


def test_a_terminal_sees_progress():
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal()
    talk = Talk(stream=stream)
    with talk.busy("working"):
        talk.now("further")
        talk.bytes(1_500_000, 3_000_000_000)
    assert "work" in stream.getvalue() or "further" in stream.getvalue() or "\x1b" in stream.getvalue()
