"""What is said beside the answer: notes, warnings and progress, all to standard error."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO


class Talk:
    """Says little when piped, shows progress on a terminal, keeps quiet with --only-show-errors."""

    def __init__(self, quiet: bool = False, stream: TextIO | None = None) -> None:
        self.quiet = quiet
        self._stream = stream or sys.stderr
        self._terminal = self._stream.isatty()
        self._status: Any = None
        self._last = ""

    def note(self, text: str) -> None:
        """One line, once."""
        if not self.quiet and text != self._last:
            self._last = text
            print(text, file=self._stream, flush=True)

    def warn(self, text: str) -> None:
        """One line that starts with Warning."""
        self.note(f"Warning: {text}")

    def state(self, thing: Any) -> None:
        """A resource has come to another state: its state and, if it says one, the reason."""
        state = thing.get("provisioning_state") or thing.get("status") or thing.get("phase") or ""
        reason = (thing.get("ferry") or {}).get("reason")
        self.now(f"{thing.get('name', '')}: {state}" + (f" ({reason})" if reason else ""))

    def now(self, text: str) -> None:
        """What goes on at present; it is replaced by the next on a terminal."""
        if self._status is not None:
            self._status.update(text)
        else:
            self.note(text)

    def bytes(self, done: int, total: int) -> None:
        """Progress of files on their way."""
        if self._status is not None and total:
            self._status.update(f"{_size(done)} of {_size(total)} sent" if done < total else "files are there")

    @contextmanager
    def busy(self, text: str) -> Iterator[None]:
        """While something takes time: a spinner on a terminal, nothing when piped."""
        if self.quiet or not self._terminal:
            yield
            return
        from rich.console import Console

        with Console(file=self._stream).status(text) as self._status:
            try:
                yield
            finally:
                self._status = None


def _size(count: float) -> str:
    for unit in ("B", "KB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
