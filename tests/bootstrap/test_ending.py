"""What hangs is ended by force and named; what has ended does not wait for stragglers."""

import subprocess
import sys
import time

import pytest

STUCK = """
import sys, threading
from ferryml.bootstrap.ending import bound, leave
def straggler():
    threading.Event().wait()
threading.Thread(target=straggler).start()
"""


def ended(code: str) -> tuple[int, str, str, float]:
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-c", STUCK + code], capture_output=True, text=True, timeout=30, check=False)
    return done.returncode, done.stdout, done.stderr, time.monotonic() - begun


def test_a_program_that_hangs_is_ended_and_says_where_its_threads_stood():
    code, _, said, _ = ended("bound(0.2)\nstraggler()")
    assert code == 1
    assert "Timeout" in said
    assert said.count("in straggler") == 2


def test_who_leaves_waits_for_nobody_and_loses_no_word():
    code, said, _, _ = ended("bound(20)\nprint('last words')\nleave(3)")
    assert (code, said) == (3, "last words\n")


@pytest.mark.parametrize("limit_s", ["0", "0.0"])
def test_without_a_limit_it_is_not_ended(limit_s):
    code, said, _, _ = ended(f"bound({limit_s})\nimport time; time.sleep(0.4); print('still here'); leave()")
    assert (code, said) == (0, "still here\n")
