"""Procedures that take turns: each runs until it waits, then the next one does.

A training step calls its model's networks and, in between, ``update``. To work through a batch in
parts, every part needs a step of its own, and no part may go on behind an update before all parts
have come to it. So every part gets a thread, but two never run at the same time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Semaphore, Thread
from typing import Generic, TypeVar

T = TypeVar("T")
Wait = Callable[[], None]


def take_turns(procedures: Sequence[Callable[[Wait], T]], between: Callable[[], None]) -> list[T]:
    """Run procedures in turns; returns their results.

    Args:
        procedures: each is given a function to call where it has to wait for the others. All of
            them call it equally often.
        between: called whenever all of them have come to wait.

    Raises:
        RuntimeError: one procedure waits where another one has ended.
        BaseException: what a procedure or ``between`` raises; the others then end where they wait.
    """
    turns = [_Turn(procedure) for procedure in procedures]
    try:
        while True:
            for turn in turns:
                turn.advance()
            over = [turn.over for turn in turns]
            if all(over):
                return [turn.results[0] for turn in turns]
            if any(over):
                raise RuntimeError("one procedure waits where another one has ended")
            between()
    finally:
        for turn in turns:
            turn.abandon()


class _Abandoned(BaseException):
    """Nobody waits for this procedure any more."""


class _Turn(Generic[T]):
    """A procedure in its thread."""

    def __init__(self, procedure: Callable[[Wait], T]) -> None:
        self._procedure = procedure
        self._go, self._back = Semaphore(0), Semaphore(0)
        self._abandoned = self.over = False
        self._error: BaseException | None = None
        self.results: list[T] = []
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def advance(self) -> None:
        """Let it run until it waits or ends."""
        self._go.release()
        self._back.acquire()
        if self._error is not None:
            raise self._error

    def abandon(self) -> None:
        """Let it end, where it waits or, if it is running, where it waits next."""
        self._abandoned = True
        self._go.release()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._my_turn()
            self.results.append(self._procedure(self._wait))
        except _Abandoned:
            pass  # raised by _my_turn alone: whoever abandoned it wants no result
        except BaseException as error:
            self._error = error
        self.over = True
        self._back.release()

    def _wait(self) -> None:
        self._back.release()
        self._my_turn()

    def _my_turn(self) -> None:
        self._go.acquire()
        if self._abandoned:
            raise _Abandoned
