"""What a worker process and its parent say to each other: length-prefixed pickles."""

from __future__ import annotations

import pickle
import struct
from dataclasses import dataclass
from typing import IO, Any

from caloforge.showers import Showers

_LENGTH = struct.Struct("<Q")


@dataclass(frozen=True)
class Setup:
    """The first message to the worker; after it come shards."""

    path: list[str]
    job: bytes


@dataclass(frozen=True)
class Advanced:
    """From the worker: so many showers of the shard are done."""

    done: int


@dataclass(frozen=True)
class Finished:
    """From the worker: the showers of the shard, and the CPU seconds that they took."""

    showers: Showers
    seconds: float


@dataclass(frozen=True)
class Failed:
    """From the worker: the job raised.

    ``kind`` names a class of :mod:`caloforge.errors`, or is empty for any other exception.
    """

    kind: str
    text: str
    trace: str


def encode(message: object) -> bytes:
    """One framed message."""
    content = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(content)) + content


def send(stream: IO[bytes], message: object) -> None:
    """Write one message.

    Raises:
        BrokenPipeError: nobody reads any more.
    """
    stream.write(encode(message))
    stream.flush()


def receive_bytes(stream: IO[bytes]) -> bytes:
    """The next message, still pickled.

    Raises:
        EOFError: the other side is gone.
    """
    return _exactly(stream, int(_LENGTH.unpack(_exactly(stream, _LENGTH.size))[0]))


def receive(stream: IO[bytes]) -> Any:
    """The next message.

    Raises:
        EOFError: the other side is gone.
    """
    return pickle.loads(receive_bytes(stream))


def _exactly(stream: IO[bytes], size: int) -> bytes:
    content = stream.read(size)
    if len(content) < size:
        raise EOFError
    return content
