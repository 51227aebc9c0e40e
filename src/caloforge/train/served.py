"""The child's side of :mod:`caloforge.train.launch`: one request comes in, one answer goes out."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import IO, Any

from caloforge import errors
from caloforge.errors import CaloforgeError, one_line
from caloforge.train.collectives import ProcessLostError


def serve(work: Callable[[dict[str, Any]], Any]) -> None:
    """Answer the request on stdin with ``work(request)``, or with what it raises.

    When the parent dies this process gets SIGTERM, as if somebody had asked it to stop. What is
    printed on the way goes to stderr.
    """
    inbox, outbox = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    request = json.loads(inbox.readline())
    threading.Thread(target=_stop_with_parent, args=(inbox,), daemon=True).start()
    try:
        answer = {"result": work(request)}
    except BaseException as error:
        answer = {"error": _described(error)}
    with outbox:
        json.dump(answer, outbox)
    sys.exit("error" in answer)


def _stop_with_parent(inbox: IO[bytes]) -> None:
    inbox.read()  # nothing more comes, but the end when the parent has gone
    os.kill(os.getpid(), signal.SIGTERM)


def _described(error: BaseException) -> dict[str, Any]:
    known = isinstance(error, CaloforgeError)
    kinds = [kind.__name__ for kind in type(error).__mro__ if kind.__module__ == errors.__name__]
    return {
        "kind": kinds[0] if kinds else "TrainingError",
        "text": str(error) if known else f"{type(error).__name__}: {one_line(error)}",
        "lost": isinstance(error, ProcessLostError),
        "trace": traceback.format_exc(),
    }
