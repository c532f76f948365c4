"""A program that was told to end does end: nothing that hangs in it, of ours or of a library, holds it up for long."""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
from typing import NoReturn


def bound(limit_s: float) -> None:
    """From now on the process has `limit_s` seconds; then it says where each of its threads stands, and is gone.

    The timer is a thread of C that takes no lock of Python's: it also ends what blocks the interpreter. 0: no limit.
    """
    if limit_s > 0:
        faulthandler.dump_traceback_later(limit_s, exit=True)


def leave(code: int = 0) -> NoReturn:
    """End the process at once. For a program that has closed all that must last.

    An ordinary exit joins every thread that some library left behind, which may wait for what never comes, and then
    takes each module apart, which for MLflow's costs a second of CPU.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)
