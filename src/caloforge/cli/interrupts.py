"""Ctrl-C that is never lost.

Python ignores exceptions raised in the callbacks of weak references, in ``__del__`` and in the
garbage collector, a KeyboardInterrupt that happens to land there too: the command would run on as
if nobody had pressed Ctrl-C. Whatever was ignored so is raised again a moment later.
"""

from __future__ import annotations

import _thread
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_AGAIN_AFTER = 0.02  # s: by then the callback has returned


@contextmanager
def heard() -> Iterator[None]:
    """Inside the block an ignored KeyboardInterrupt is raised again in the main thread."""
    before = sys.unraisablehook
    timers: list[threading.Timer] = []

    def again(ignored: sys.UnraisableHookArgs) -> None:
        if ignored.exc_type is not KeyboardInterrupt:
            before(ignored)
            return
        timer = threading.Timer(_AGAIN_AFTER, _thread.interrupt_main)
        timer.daemon = True
        timer.start()
        timers.append(timer)

    sys.unraisablehook = again
    try:
        yield
    finally:
        sys.unraisablehook = before
        for timer in timers:
            timer.cancel()
