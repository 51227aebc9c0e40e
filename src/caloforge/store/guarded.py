"""New HDF5 files that survive a full disk.

The HDF5 library may crash the whole process when a write fails while it closes a file. So it
writes through this file object, which remembers the first failure and from then on only pretends;
the writer asks for the failure, raises it as one clear error and throws the file away.
"""

from __future__ import annotations

import io
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import h5py

from caloforge.atomic import atomic_file, output_error


class GuardedFile(io.RawIOBase):
    """A new binary file whose writes never fail towards the caller; see :attr:`failure`."""

    def __init__(self, path: Path) -> None:
        self._raw = path.open("w+b", buffering=0)
        self._position = 0
        self._size = 0
        self.failure: OSError | None = None

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move the position; no disk access."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """The position."""
        return self._position

    def write(self, data: Any) -> int:
        """Write all of ``data``, or pretend to."""
        view = memoryview(data).cast("B")
        start, end = self._position, self._position + len(view)
        if self.failure is None:
            try:
                self._raw.seek(start)
                done = 0
                while done < len(view):
                    done += self._raw.write(view[done:]) or 0
            except OSError as error:
                self.failure = error
        self._position = end
        self._size = max(self._size, end)
        return len(view)

    def readinto(self, buffer: Any) -> int:
        """Read; zeros where nothing could be written."""
        view = memoryview(buffer).cast("B")
        self._raw.seek(self._position)
        found = self._raw.readinto(view) or 0
        view[found:] = bytes(len(view) - found)
        self._position += len(view)
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        """Set the size, or pretend to."""
        size = self._position if size is None else size
        if self.failure is None:
            try:
                self._raw.truncate(size)
            except OSError as error:
                self.failure = error
        self._size = size
        return size

    def flush(self) -> None:
        """Nothing is buffered here."""

    def close(self) -> None:
        """Close the file on disk."""
        self._raw.close()
        super().close()

    def readable(self) -> bool:
        """Yes."""
        return True

    def writable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C waits until the block ends.

    The HDF5 library calls :class:`GuardedFile` from places that cannot pass an exception on: a
    KeyboardInterrupt raised there would be swallowed, and with it a write.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[FrameType | None] = []
    old = signal.signal(signal.SIGINT, lambda _, frame: caught.append(frame))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, old)
    if caught and callable(old):
        old(signal.SIGINT, caught[0])


class NewHdf5:
    """A new HDF5 file at ``partial`` that becomes ``path``: ``file`` is the h5py handle.

    Raises:
        OutputError: from :meth:`check` and :meth:`close`, when the disk is full.
    """

    def __init__(self, path: Path, partial: Path) -> None:
        self._path = path
        try:
            self._guard = GuardedFile(partial)
        except OSError as error:
            raise output_error(path, error) from error
        self.file = h5py.File(self._guard, "w", libver="v110")  # all metadata has checksums

    def check(self) -> None:
        """Raise if a write has failed."""
        if self._guard.failure is not None:
            raise output_error(self._path, self._guard.failure) from self._guard.failure

    def close(self) -> None:
        """Flush and close, then raise if a write has failed."""
        self.abandon()
        self.check()

    def abandon(self) -> None:
        """Close without caring what was written."""
        with uninterrupted():
            try:
                self.file.close()
            finally:
                self._guard.close()


@contextmanager
def new_hdf5(path: Path) -> Iterator[NewHdf5]:
    """A new HDF5 file that appears at ``path`` when the block ends well, and never half-written.

    Raises:
        OutputError: the folder is missing, or the disk is full.
    """
    with atomic_file(path) as partial:
        new = NewHdf5(path, partial)
        try:
            yield new
        except BaseException as error:
            new.abandon()
            if isinstance(error, Exception):
                new.check()  # what the library says of a full disk is hard to understand
            raise
        new.close()
