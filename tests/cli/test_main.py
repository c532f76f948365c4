"""The last door: words and exit codes for whatever goes wrong."""

import errno
import io

import pytest

from ferryml.cli.main import exit_code, main
from ferryml.domain.errors import Conflict, Defect, NotFound, Refused, Unavailable


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Refused("UnknownField", "x"), 2),
        (Refused("Usage", "x"), 2),
        (Refused("TrafficInvalid", "x"), 1),
        (NotFound("NotFound", "x"), 1),
        (Conflict("AlreadyExists", "x"), 1),
        (Unavailable("ServerUnreachable", "x"), 3),
        (Defect("Internal", "x"), 4),
    ],
)
def test_each_branch_has_its_exit_code(error, code):
    assert exit_code(error) == code


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["nonsense"], "No such command"),
        (["job"], "a command is missing"),
        (["job", "show"], "--name"),
        (["job", "show", "-n", "x", "--nonsense"], "--nonsense"),
        (["job", "show", "-n", "x", "-o", "xml"], "xml"),
        (["job", "create", "-f", "x", "--s"], "could be"),
    ],
)
def test_misuse_is_said_in_one_shape(typed, argv, words):
    said = typed(*argv)
    assert said.code == 2
    assert said.out == ""
    error, hint = said.err.splitlines()
    assert error.startswith("Error: [Usage] ")
    assert words in error
    assert hint.startswith("Hint: ")


def test_help_and_version_are_no_errors(typed):
    assert typed("--help").code == typed().code == typed("job", "--help").code == 0
    assert typed("--version").out.startswith("ferry ")


def test_a_defect_has_its_code_and_debug_its_story(typed, monkeypatch):
    monkeypatch.setenv("FERRY_CONFIG", "x" * 5000)  # longer than any path may be
    said = typed("context", "list")
    assert (said.code, said.err.split()[1]) == (4, "[Internal]")
    assert "Traceback" not in said.err
    assert "Traceback" in typed("context", "list", "--debug").err


def test_a_full_disk_is_no_defect(monkeypatch, capsys):
    class Full(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(errno.ENOSPC, "No space left on device", "/big/file")

    monkeypatch.setattr("sys.stdout", Full())
    assert main(["--version"]) == 3
    assert "[DiskFull] the disk has no room left for /big/file" in capsys.readouterr().err


def test_what_is_not_reachable_is_3(typed, monkeypatch, free_port):
    monkeypatch.setenv("FERRY_URL", f"http://127.0.0.1:{free_port}")
    said = typed("whoami")
    assert said.code == 3
    assert "[ServerUnreachable]" in said.err


def test_an_interrupt_is_130(typed, monkeypatch):
    def interrupted(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("ferryml.cli.root.run", interrupted)
    assert main(["whoami"]) == 130
