"""`ferry`: finds the command, runs it, and turns whatever goes wrong into words and an exit code."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

from ferryml.cli.catalogue import help_text
from ferryml.domain.errors import Defect, FerryError, Refused, Unavailable

LANGUAGE = frozenset({
    "Usage", "UnknownField", "BadValue", "MissingField", "BadYaml", "BadReference", "UnresolvedExpression",
    "FileNotFound", "BadName", "FileTooLarge", "BadEncoding", "PathEscapes",
})  # fmt: skip
"""Codes of what was written wrongly, by hand or on the command line."""
REFUSED, MISUSED, UNAVAILABLE, DEFECT, INTERRUPTED = 1, 2, 3, 4, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code.

    0 done, 1 failed or refused, 2 usage or language, 3 unavailable, 4 a defect of ours, 130 interrupted.
    """
    args = list(sys.argv[1:] if argv is None else argv)
    completing = any(name.endswith("_COMPLETE") for name in os.environ)
    if not completing and (not args or args[0] in ("--help", "-h", "help")):
        print(help_text())
        return 0
    try:
        return _run(args)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # whoever read our output has gone; nothing more may be written, not even at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return REFUSED
    except FerryError as error:
        return _report(error, args)
    except Exception as error:  # noqa: BLE001 - the last door: a defect must come out as one, with its exit code
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            where = f" for {error.filename}" if error.filename else ""
            return _report(Unavailable("DiskFull", f"the disk has no room left{where}", "Free space."), args, error)
        text = f"{type(error).__name__}: {error}"
        return _report(Defect("Internal", text, "Run again with --debug and report what it shows."), args, error)


def _run(args: list[str]) -> int:
    from ferryml.cli import root

    code: Any = root.run(args)
    sys.stdout.flush()
    return code if isinstance(code, int) else 0


def _report(error: FerryError, args: Sequence[str], cause: BaseException | None = None) -> int:
    if "--debug" in args:
        traceback.print_exception(cause or error)
    print(f"Error: [{error.code}] {error.message}", file=sys.stderr)
    if error.hint:
        print(f"Hint: {error.hint}", file=sys.stderr)
    return exit_code(error)


def exit_code(error: FerryError) -> int:
    """What a script learns of an error."""
    if isinstance(error, Unavailable):
        return UNAVAILABLE
    if isinstance(error, Refused):
        return MISUSED if error.code in LANGUAGE else REFUSED
    return DEFECT


if __name__ == "__main__":
    sys.exit(main())
