"""The losses of every logged step as CSV, continued without gaps or doubles after a resume."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from caloforge.atomic import atomic_file, output_error


class MetricsCsv:
    """Appends rows ``step, epoch, loss...`` to a file.

    Args:
        path: the file; rows at or after ``start`` (written before a kill) are dropped.
        start: number of steps already done.
    """

    def __init__(self, path: Path, start: int) -> None:
        self.path = path
        self._columns: list[str] | None = None
        if start == 0:
            path.unlink(missing_ok=True)
        elif path.exists():
            self._drop_after(start)

    def _drop_after(self, start: int) -> None:
        """Keep the complete rows up to step ``start``; a kill may have cut the last one short."""
        with self.path.open(newline="") as stream:
            header, *rows = list(csv.reader(stream)) or [[]]
        if header[:1] != ["step"]:
            self.path.unlink()
            return
        self._columns = header
        kept = [row for row in rows if len(row) == len(header) and 0 < int(row[0]) <= start]
        with atomic_file(self.path) as partial, partial.open("w", newline="") as stream:
            csv.writer(stream).writerows([header, *kept])

    def write(self, step: int, epoch: int, losses: Mapping[str, float]) -> None:
        """Append one row.

        Raises:
            OutputError: the disk is full.
        """
        row = {"step": step, "epoch": epoch, **{k: repr(v) for k, v in losses.items()}}
        try:
            with self.path.open("a", newline="") as stream:
                writer = csv.DictWriter(stream, self._columns or list(row))
                if self._columns is None:
                    writer.writeheader()
                    self._columns = list(row)
                writer.writerow(row)
        except OSError as error:
            raise output_error(self.path, error) from error
