"""How a job reaches every dask worker, also those that come later. Imports distributed."""

from __future__ import annotations

from typing import Any

from distributed import WorkerPlugin

from caloforge.tasks.dask_worker import begin_run, end_run


class JobPlugin(WorkerPlugin):  # type: ignore[misc]
    """A run's packed job. A task argument would draw all tasks to the worker that holds it."""

    def __init__(self, run: str, packed: bytes) -> None:
        self.name = f"caloforge-{run}"
        self.run = run
        self.packed = packed

    def setup(self, worker: Any) -> None:
        """Called on every worker that there is, and on every new one."""
        begin_run(self.run, self.packed)

    def teardown(self, worker: Any) -> None:
        """Called when the run ends, or the worker."""
        end_run(self.run)
