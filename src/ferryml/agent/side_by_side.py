"""Work that only waits for others is done side by side: one slow answer of a cluster must not hold up the next job."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Protocol, TypeVar

from ferryml.domain.errors import Unavailable

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Begun(Protocol[T_co]):
    """Work that was handed over."""

    def result(self) -> T_co:
        """What came of it; raises what it raised, and Unavailable when it was given up before it began."""


class SideBySide:
    """Up to `width` pieces at once; with 1 each is done where its result is asked for, in the order of asking."""

    def __init__(self, width: int, name: str) -> None:
        self._pool = ThreadPoolExecutor(width, thread_name_prefix=name) if width > 1 else None

    def begin(self, work: Callable[[], T]) -> Begun[T]:
        """Raises Unavailable once it is closed."""
        if self._pool is None:
            return _Later(work)
        try:
            return _Pooled(self._pool.submit(work))
        except RuntimeError as error:
            raise _ending() from error

    def close(self) -> None:
        """Gives up what has not begun; what has begun ends by itself."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)


class _Later(Begun[T]):
    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work

    def result(self) -> T:
        return self._work()


class _Pooled(Begun[T]):
    def __init__(self, future: Future[T]) -> None:
        self._future = future

    def result(self) -> T:
        try:
            return self._future.result()
        except CancelledError as error:
            raise _ending() from error


def _ending() -> Unavailable:
    return Unavailable("Unavailable", "the agent ends, or leads no more")
