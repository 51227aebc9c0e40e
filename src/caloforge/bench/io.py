"""Showers per second from disk to dense float32 training batches: the seed systems' way and ours.

    seed      HDF5 files of dense images, gzip 4, h5py's own chunks, read by one process in order
    tuned     files of 200 showers, chunks of 10, gzip 4; processes read them
    caloforge the store and its loader, shuffled

The same showers in all three, written to a temporary folder just before; files are warm in the page
cache. Ours are one stream over all passes, as training takes them. The limit is what the same
number of threads reaches by only writing zeros to the batches.
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from caloforge.data import BatchPlan, ShowerLoader, StoredBlocks
from caloforge.errors import ConfigError
from caloforge.showers import Showers
from caloforge.store import ShowerReader, open_showers, shard_paths

LAYOUTS = ("seed", "tuned", "caloforge")

TUNED_FILE, TUNED_CHUNK = 200, 10
IMAGES = "ECAL"

Progress = Callable[[str], None]


@dataclass(frozen=True)
class IoRow:
    """One layout: showers/s delivered, bytes per shower on disk, and the rate over the seed's."""

    layout: str
    showers_per_second: float
    gb_per_second: float
    bytes_per_shower: float
    ratio: float | None


@dataclass(frozen=True)
class IoResult:
    """All layouts, the memory limit (dense GB/s and showers/s), and the peak memory (MB).

    ``waiting_percent``: how much of its time a training step of ``step_ms`` waits for our loader.
    """

    rows: list[IoRow]
    showers: int
    dense_gb: float
    limit_gb_per_second: float
    limit_showers_per_second: float
    peak_memory_mb: float
    step_ms: float
    waiting_percent: float | None


def bench_io(
    data: str | Path,
    *,
    layouts: Sequence[str] = LAYOUTS,
    batch_size: int = 128,
    workers: int = 2,
    showers: int | None = None,
    rounds: int = 3,
    step_ms: float = 10.0,
    progress: Progress | None = None,
) -> IoResult:
    """Measure how fast showers reach a training loop.

    Args:
        data: a store file or a folder of shards.
        layouts: of :data:`LAYOUTS`.
        batch_size: showers per batch.
        workers: processes or threads.
        showers: use so many; all when None.
        rounds: passes over the data; the median counts.
        step_ms: duration of a training step, for the share of the time that it waits.
        progress: told what is being measured.

    Raises:
        ConfigError: unknown layouts, or less showers than a batch.
        CaloforgeError: the data cannot be read.
    """
    unknown = [name for name in layouts if name not in LAYOUTS]
    if unknown or not layouts:
        raise ConfigError(f"--layouts {','.join(layouts)}: choose from {', '.join(LAYOUTS)}")
    say = progress or (lambda text: None)
    with tempfile.TemporaryDirectory() as name, open_showers(data) as reader:
        folder = Path(name)
        number = min(len(reader), showers or len(reader))
        if number < batch_size:
            raise ConfigError(f"{data}: {number} showers are less than one batch of {batch_size}")
        cells = reader.calorimeter.n_cells
        measured = {}
        for layout in layouts:
            say(layout)
            passes, size = prepare(
                layout, reader, Path(data), folder, number, batch_size, workers, rounds + 1
            )
            measured[layout] = _rate(passes, rounds), size / number
            del passes  # its loader and the memory of that go with it
        waiting = None
        if "caloforge" in layouts:
            say("waiting")
            waiting = _waiting(Path(data), batch_size, step_ms)
        say("memory")
        limit = _memory_limit(batch_size, cells, workers)
    seed = measured.get("seed", (None, 0.0))[0]
    rows = [
        IoRow(layout, rate, rate * cells * 4 / 1e9, size, None if seed is None else rate / seed)
        for layout, (rate, size) in measured.items()
    ]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    dense, rate = number * cells * 4 / 1e9, limit * 1e9 / cells / 4
    return IoResult(rows, number, dense, limit, rate, peak, step_ms, waiting)


Batches = Iterator[NDArray[np.float32] | torch.Tensor]
Pass = Callable[[], Batches]


def prepare(
    layout: str,
    reader: ShowerReader,
    data: Path,
    folder: Path,
    number: int,
    batch_size: int,
    workers: int,
    passes: int,
) -> tuple[Pass, int]:
    """What makes the next of some passes over the showers in a layout, and the size on disk."""
    if layout == "caloforge":
        loader = _loader(data, batch_size, workers)
        source, steps = loader.source, number // batch_size
        size = sum(path.stat().st_size for path in shard_paths(data)) * number // len(source)
        stream = loader.batches(0, steps * passes)
        return lambda: (batch.energy for batch in islice(stream, steps)), size
    if layout == "seed":
        files = _write_dense(reader, folder / "seed", number, 10_000, None)
        return lambda: _sequential(files, batch_size), sum(f.stat().st_size for f in files)
    files = _write_dense(reader, folder / "tuned", number, TUNED_FILE, TUNED_CHUNK)
    dataset = _FilesInProcesses(files, batch_size)
    parallel = DataLoader(
        dataset, batch_size=None, num_workers=workers, prefetch_factor=4, persistent_workers=True
    )
    return lambda: iter(parallel), sum(f.stat().st_size for f in files)


def _loader(data: Path, batch_size: int, threads: int) -> ShowerLoader:
    source = StoredBlocks([data])
    plan = BatchPlan(source.blocks, batch_size, seed=1)
    return ShowerLoader(source, plan, threads=threads, reuse=True, ahead=2, keep=1)


def _waiting(data: Path, batch_size: int, step_ms: float) -> float:
    """Percent of its time that a loop of sleeping steps waits for the loader."""
    source = StoredBlocks([data])
    loader = ShowerLoader(source, BatchPlan(source.blocks, batch_size, seed=1), reuse=True)
    steps = max(2, int(2000 / max(step_ms, 0.1)))
    begin = time.perf_counter()
    for _ in loader.batches(0, steps):
        time.sleep(step_ms / 1000)
    return 100 * loader.waited / (time.perf_counter() - begin)


def _write_dense(
    reader: ShowerReader, folder: Path, number: int, per_file: int, chunk: int | None
) -> list[Path]:
    """Files of dense images (n, cells); images where the calorimeter is a regular grid."""
    folder.mkdir()
    shape = reader.calorimeter.grid_shape or (reader.calorimeter.n_cells,)
    files = []
    for start in range(0, number, per_file):
        stop = min(start + per_file, number)
        path = folder / f"{start:08d}.h5"
        with h5py.File(path, "w") as file:
            images = file.create_dataset(
                IMAGES,
                shape=(stop - start, *shape),
                dtype="f4",
                compression="gzip",
                compression_opts=4,
                chunks=True if chunk is None else (min(chunk, stop - start), *shape),
            )
            step = per_file if chunk is None else TUNED_FILE
            for first in range(start, stop, step):
                part: Showers = reader.read(first, min(first + step, stop))
                dense = part.dense().reshape(len(part), *shape)
                images[first - start : first - start + len(part)] = dense
        files.append(path)
    return files


def _sequential(files: Sequence[Path], batch_size: int) -> Batches:
    """As the seed systems: a file as a whole, then batch by batch."""
    for path in files:
        with h5py.File(path) as file:
            images = file[IMAGES][:]
        flat = images.reshape(len(images), -1)
        for start in range(0, len(flat), batch_size):
            yield flat[start : start + batch_size]


class _FilesInProcesses(IterableDataset[torch.Tensor]):
    """Every process reads its share of the files into one array that it keeps."""

    def __init__(self, files: Sequence[Path], batch_size: int) -> None:
        self.files, self.batch_size = files, batch_size

    def __iter__(self) -> Iterator[torch.Tensor]:
        info = get_worker_info()
        mine = self.files if info is None else self.files[info.id :: info.num_workers]
        memory: NDArray[np.float32] | None = None
        for path in mine:
            with h5py.File(path) as file:
                images = file[IMAGES]
                if memory is None or len(memory) < len(images):
                    memory = np.empty(images.shape, np.float32)
                images.read_direct(memory, dest_sel=np.s_[: len(images)])
                flat = memory[: len(images)].reshape(len(images), -1)
            for start in range(0, len(flat), self.batch_size):
                yield torch.from_numpy(flat[start : start + self.batch_size].copy())


def _rate(passes: Pass, rounds: int) -> float:
    """Median showers per second over some passes, after one to warm up."""
    rates = []
    for _ in range(rounds + 1):
        begin, number = time.perf_counter(), 0
        for batch in passes():
            number += len(batch)
        rates.append(number / (time.perf_counter() - begin))
    return float(np.median(rates[1:]))


def _memory_limit(batch_size: int, cells: int, threads: int) -> float:
    """GB/s of zeros that ``threads`` threads write into as many batches as the loader holds."""
    batches = [np.empty((batch_size, cells), np.float32) for _ in range(3)]
    rounds = max(8, int(4e9 // batches[0].nbytes))
    for batch in batches:
        batch.fill(0)
    begin = time.perf_counter()
    with ThreadPoolExecutor(threads) as workers:
        list(workers.map(lambda k: batches[k % 3].fill(0), range(rounds)))
    return rounds * batches[0].nbytes / (time.perf_counter() - begin) / 1e9
