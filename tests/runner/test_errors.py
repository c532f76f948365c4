import pytest

from ferryml.runner.errors import MOST_LINES, error_lines

TRACEBACK = """\
start
Traceback (most recent call last):
  File "a.py", line 1, in <module>
    first()
ValueError: handled one

Traceback (most recent call last):
  File "train.py", line 3, in <module>
    main()
  File "train.py", line 2, in main
    raise KeyError("label")
KeyError: 'label'
"""


@pytest.mark.parametrize(
    ("log", "lines"),
    [
        ("fine\nbash: foo: command not found\n", ["bash: foo: command not found"]),
        ("a\nb\n\nc", ["a", "b", "c"]),
        ("", []),
        ("x\rError: y\r\nz", ["Error: y"]),
    ],
)
def test_telling_lines_else_the_last_ones(tmp_path, log, lines):
    (tmp_path / "log").write_bytes(log.encode())
    assert error_lines(str(tmp_path / "log")) == lines


def test_the_last_tracebacks_reason_comes_first(tmp_path):
    (tmp_path / "log").write_text(TRACEBACK)
    lines = error_lines(str(tmp_path / "log"))
    assert lines[0] == "KeyError: 'label'"
    assert lines[1] == "Traceback (most recent call last):"
    assert lines[-1] == '    raise KeyError("label")'


def test_a_cut_traceback_and_a_deep_one_stay_short(tmp_path):
    deep = "".join(f'  File "x.py", line {n}\n    f()\n' for n in range(500))
    (tmp_path / "log").write_text(f"Traceback (most recent call last):\n{deep}RecursionError: too deep\n")
    lines = error_lines(str(tmp_path / "log"))
    assert lines[0] == "RecursionError: too deep"
    assert len(lines) == MOST_LINES
    (tmp_path / "cut").write_text("Traceback (most recent call last):\n  File")
    assert error_lines(str(tmp_path / "cut"))[0].startswith("Traceback")


def test_what_is_not_text_or_not_there(tmp_path):
    (tmp_path / "log").write_bytes(b"\xff\xfe error \x00\n" + b"x" * 10_000)
    assert "error" in error_lines(str(tmp_path / "log"))[0]
    assert all(len(line) <= 500 for line in error_lines(str(tmp_path / "log")))
    assert error_lines(str(tmp_path / "absent")) == []
