"""The loader: every shower in its place, in any thread, from any step, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caloforge.conversion import convert
from caloforge.data import BatchPlan, BlockSource, MemoryBlocks, ShowerLoader, StoredBlocks
from caloforge.data.blocks import Room, cut_blocks
from caloforge.errors import CaloforgeError, ConfigError, FormatError, GeometryError, ShowerError
from caloforge.geometry import load_detector
from caloforge.showers import Incident, Showers
from caloforge.store import write_index, write_showers
from caloforge.store.checksum import fletcher32, same
from helpers import SAMPLES, lcd_showers, random_showers

BLOCK = 300
"""Hits per block in the tests: about 10 showers."""


def stored(folder: Path, showers: Showers, files: int = 3) -> list[Path]:
    """The showers in some files."""
    edges = np.linspace(0, len(showers), files + 1).astype(int)
    return [
        write_showers(folder / f"{k}.h5", showers[edges[k] : edges[k + 1]]) for k in range(files)
    ]


def loader(source: BlockSource, batch: int = 8, pool: int = 900, **options: Any) -> ShowerLoader:
    """A loader with small pools."""
    plan = BatchPlan(source.blocks, batch, seed=5, pool_hits=pool)
    return ShowerLoader(source, plan, **options)


def test_batches_hold_the_showers_that_the_plan_says(tmp_path: Path) -> None:
    showers = random_showers(200)
    source = StoredBlocks(stored(tmp_path, showers), block_hits=BLOCK)
    assert len(source.blocks) > 15
    made = loader(source)
    dense = showers.dense()
    steps = 2 * made.plan.steps_per_epoch + 3
    for step, batch in enumerate(made.batches(0, steps)):
        rows = made.plan.rows(step)
        assert batch.step == step
        assert np.array_equal(batch.energy, dense[rows])
        assert np.allclose(batch.condition[:, 0], showers.incident.energy[rows])
    assert step == steps - 1


@pytest.mark.parametrize("n", [60, 3000])
def test_columns_of_zeros_are_read(tmp_path: Path, n: int) -> None:
    """Blosc2 leaves chunks of zeros out: all of phi, and the first of three chunks of x."""
    showers = random_showers(n)
    columns = {**showers.incident.columns, "phi": np.zeros(n), "x": np.zeros(n)}
    columns["x"][1024:] = np.arange(max(0, n - 1024))
    showers = Showers(
        showers.calorimeter, Incident(columns), showers.offset, showers.cell, showers.energy
    )
    source = StoredBlocks([write_showers(tmp_path / "a.h5", showers)], block_hits=BLOCK)
    assert source.ranges(["phi"]) == {"phi": (0.0, 0.0)}
    made = loader(source, columns=("energy", "phi", "x"))
    for step, batch in enumerate(made.batches(0, 2 * n // 8)):
        rows = made.plan.rows(step)
        for number, name in enumerate(("energy", "phi", "x")):
            assert np.allclose(batch.condition[:, number], columns[name][rows])


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("start", [0, 7, 30])
def test_a_run_that_starts_in_mid_epoch_sees_the_same_batches(
    tmp_path: Path, threads: int, start: int
) -> None:
    source = StoredBlocks(stored(tmp_path, random_showers(120)), block_hits=BLOCK)
    whole = [batch.energy for batch in loader(source).batches(0, 40)]
    part = [batch.energy for batch in loader(source, threads=threads).batches(start, 40)]
    assert len(part) == 40 - start
    for a, b in zip(whole[start:], part, strict=True):
        assert np.array_equal(a, b)


def test_memory_and_files_give_the_same_batches(tmp_path: Path) -> None:
    showers = random_showers(90)
    path = stored(tmp_path, showers, files=1)
    sources: list[BlockSource] = [
        StoredBlocks(path, block_hits=BLOCK),
        MemoryBlocks(showers, block_hits=BLOCK),
    ]
    a, b = ([batch.energy for batch in loader(source).batches(0, 15)] for source in sources)
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@settings(max_examples=30, deadline=None)
@given(
    showers=st.integers(20, 150),
    batch=st.integers(1, 9),
    world=st.integers(1, 4),
    pool=st.integers(1, 5000),
    block=st.integers(1, 2000),
)
def test_ranks_share_every_epoch_without_overlap(
    showers: int, batch: int, world: int, pool: int, block: int
) -> None:
    offset = np.concatenate([[0], np.cumsum(np.random.default_rng(1).integers(1, 60, showers))])
    blocks = cut_blocks(offset, 0, block)
    assert sum(map(len, blocks)) == showers
    if batch * world > showers:
        return
    plans = [
        BatchPlan(blocks, batch, 3, rank=rank, world=world, pool_hits=pool) for rank in range(world)
    ]
    steps = plans[0].steps_per_epoch
    for epoch in range(2):
        seen = [plan.rows(epoch * steps + k) for plan in plans for k in range(steps)]
        numbers = np.concatenate(seen)
        assert len(numbers) == len(set(numbers.tolist())) == steps * batch * world
        assert showers - len(numbers) < batch * world
        assert numbers.min() >= 0
        assert numbers.max() < showers


def test_a_sample_of_one_pool_is_shuffled_uniformly() -> None:
    """Every shower is as likely in every place: chi-squared over place and shower."""
    blocks = MemoryBlocks(random_showers(40), block_hits=200).blocks
    assert len(blocks) > 3
    places = np.zeros((8, 8))
    epochs = 800
    plan = BatchPlan(blocks, 40, seed=0)
    for epoch in range(epochs):
        rows = plan.rows(epoch)
        np.add.at(places, (np.arange(40) // 5, rows // 5), 1)
    expected = epochs * 25 / 40
    chi2 = ((places - expected) ** 2 / expected).sum()
    assert chi2 < 49 + 5 * np.sqrt(2 * 49)


def test_showers_that_were_neighbours_part_and_sorted_files_mix() -> None:
    """Pools of 64 blocks: neighbours rarely meet in a batch; a sorted file gives mixed batches."""
    n, batch = 64_000, 64
    offset = np.arange(n + 1) * 10
    blocks = cut_blocks(offset, 0, 1000)  # 640 blocks of 100 showers
    plan = BatchPlan(blocks, batch, seed=2, pool_hits=64_000)  # pools of 64 blocks
    met, means = 0, []
    for step in range(plan.steps_per_epoch):
        rows = np.sort(plan.rows(step)) if step % 10 == 0 else plan.rows(step)
        met += int((np.diff(rows) == 1).sum()) if step % 10 == 0 else 0
        means.append(rows.mean() / n)
    pairs = plan.steps_per_epoch / 10 * (batch - 1)
    # A neighbour is in the same pool for certain and then in the same batch with 63 in 6399.
    assert met / pairs < 3 * (batch - 1) / 6399
    # Uniform batches have a variance of 1 / (12 * 64); blocks of one energy add 1 / (12 * 64).
    assert np.var(means) < 3 / (12 * batch)
    assert abs(np.mean(means) - 0.5) < 0.01


def test_epochs_differ_and_seeds_differ() -> None:
    blocks = MemoryBlocks(random_showers(60), block_hits=BLOCK).blocks
    plan = BatchPlan(blocks, 6, seed=1)
    other = BatchPlan(blocks, 6, seed=2)
    assert not np.array_equal(plan.rows(0), plan.rows(10))
    assert not np.array_equal(plan.rows(0), other.rows(0))


def test_memory_is_bounded_by_two_pools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = StoredBlocks(stored(tmp_path, random_showers(400)), block_hits=BLOCK)
    made: list[tuple[int, int]] = []
    empty = Room.empty

    def counted(showers: int, hits: int, columns: int) -> Room:
        made.append((showers, hits))
        return empty(showers, hits, columns)

    monkeypatch.setattr(Room, "empty", staticmethod(counted))
    chosen = loader(source, reuse=True, pool=900)
    seen = {id(batch.energy) for batch in chosen.batches(0, 4 * chosen.plan.steps_per_epoch)}
    assert len(seen) <= 6  # ahead + keep
    assert all(hits <= 900 + BLOCK + 100 for _, hits in made)
    pools = 4 * sum(block.hits for block in source.blocks) / 900
    assert len(made) < pools / 2  # most pools live in the memory of older ones


def test_reused_batches_stay_valid_as_long_as_promised(tmp_path: Path) -> None:
    showers = random_showers(100)
    source = StoredBlocks(stored(tmp_path, showers), block_hits=BLOCK)
    made = loader(source, reuse=True, keep=2, ahead=3)
    dense = showers.dense()
    held: list[tuple[int, np.ndarray]] = []
    for batch in made.batches(0, 40):
        held = [*held, (batch.step, batch.energy)][-2:]
        for step, energy in held:
            assert np.array_equal(energy, dense[made.plan.rows(step)])


def test_new_batches_are_nobody_elses_memory() -> None:
    source = MemoryBlocks(random_showers(64), block_hits=BLOCK)
    kept = [batch.energy for batch in loader(source).batches(0, 16)]
    again = [batch.energy.copy() for batch in loader(source).batches(0, 16)]
    assert all(np.array_equal(a, b) for a, b in zip(kept, again, strict=True))


def test_folders_of_shards_and_real_showers(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    stored(tmp_path / "data", lcd_showers(30))
    write_index(tmp_path / "data")
    source = StoredBlocks([tmp_path / "data"])
    assert len(source) == 30
    convert(SAMPLES / "electrons_test.h5", tmp_path / "real.h5")
    real = StoredBlocks([tmp_path / "real.h5"])
    made = ShowerLoader(real, BatchPlan(real.blocks, 16, 1), ("energy", "theta"))
    (batch,) = made.batches(3, 4)
    assert batch.energy.shape == (16, 15625)
    assert batch.condition.shape == (16, 2)
    assert 0.015 < batch.energy.sum() / batch.condition[:, 0].sum() < 0.025


def test_wishes_that_cannot_be_met(tmp_path: Path) -> None:
    paths = stored(tmp_path, random_showers(30))
    source = StoredBlocks(paths)
    with pytest.raises(ConfigError, match=r"batch_size 31 exceeds the 30"):
        BatchPlan(source.blocks, 31, 1)
    with pytest.raises(ConfigError, match="of each process"):
        BatchPlan(source.blocks, 16, 1, world=2)
    with pytest.raises(ConfigError, match="rank 2 of 2"):
        BatchPlan(source.blocks, 4, 1, rank=2, world=2)
    with pytest.raises(ShowerError, match=r"no column 'theta'.*use showers that have it"):
        list(ShowerLoader(source, BatchPlan(source.blocks, 4, 1), ("theta",)).batches(0, 1))
    with pytest.raises(GeometryError):
        StoredBlocks([*paths, write_showers(tmp_path / "other.h5", lcd_showers(2))])
    with pytest.raises(GeometryError):
        StoredBlocks(paths, load_detector("lcd-ecal"))
    with pytest.raises(FormatError, match="--data"):
        StoredBlocks([])


def _set(name: str, place: int, value: float) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file[name][place] = value

    return change


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (_set("showers/energy", 100, np.nan), "nan MeV"),
        (_set("showers/energy", 100, np.inf), "inf MeV"),
        (_set("showers/energy", 100, -1.0), "-1.0 MeV"),
        (_set("showers/energy", 100, 0.0), "0.0 MeV"),
        (_set("showers/cell", 100, 4_000_000_000), "cell 4000000000"),
        (_set("showers/cell", 100, 0), "cells must increase"),
        (_set("incident/energy", 3, np.nan), "NaN"),
        (_set("showers/offset", 3, 5), "does not increase"),
        (_set("showers/offset", 0, 1), "does not increase"),
    ],
)
def test_impossible_values_never_reach_a_batch(
    tmp_path: Path, change: Callable[[h5py.File], None], word: str
) -> None:
    path = write_showers(tmp_path / "a.h5", random_showers(30))
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(CaloforgeError, match=word) as caught:
        source = StoredBlocks([path])
        list(loader(source).batches(0, 3))
    assert str(path) in str(caught.value)


def test_every_flipped_byte_is_noticed_or_harmless(tmp_path: Path) -> None:
    showers = random_showers(60)
    path = write_showers(tmp_path / "a.h5", showers)
    content = path.read_bytes()
    dense = showers.dense()
    noticed = 0
    rng = np.random.default_rng(3)
    for place in rng.choice(len(content), 150, replace=False):
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(rng.integers(8))
        (tmp_path / "b.h5").write_bytes(damaged)
        try:
            made = loader(StoredBlocks([tmp_path / "b.h5"]))
            for batch in made.batches(0, made.plan.steps_per_epoch):
                assert np.array_equal(batch.energy, dense[made.plan.rows(batch.step)])
        except CaloforgeError:
            noticed += 1
    assert noticed > 50


def test_a_file_that_changes_under_the_loader(tmp_path: Path) -> None:
    path = write_showers(tmp_path / "a.h5", random_showers(60, seed=1))
    source = StoredBlocks([path], block_hits=BLOCK)
    write_showers(path, random_showers(55, seed=2))
    with pytest.raises(CaloforgeError, match=r"a\.h5"):
        list(loader(source).batches(0, 7))
    path.unlink()
    with pytest.raises(FormatError, match="cannot read it any more"):
        list(loader(source).batches(0, 7))


@pytest.mark.parametrize("filters", [{}, {"compression": "gzip"}, {"shuffle": True}])
def test_files_with_other_filters_are_read_through_the_library(
    tmp_path: Path, filters: dict[str, object]
) -> None:
    showers = random_showers(40)
    path = write_showers(tmp_path / "a.h5", showers)
    with h5py.File(path, "r+") as file:
        for name in ("showers/cell", "showers/energy"):
            values = file[name][:]
            del file[name]
            file.create_dataset(name, data=values, chunks=(64,), **filters)
    made = loader(StoredBlocks([path], block_hits=BLOCK))
    for batch in made.batches(0, 5):
        assert np.array_equal(batch.energy, showers.dense()[made.plan.rows(batch.step)])


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=1, max_size=3000))
def test_the_checksum_is_that_of_hdf5(content: bytes) -> None:
    with h5py.File.in_memory() as file:
        data = np.frombuffer(content, np.uint8)
        dataset = file.create_dataset("a", data=data, chunks=data.shape, fletcher32=True)
        _, raw = dataset.id.read_direct_chunk((0,))
    assert raw[:-4] == content
    assert same(int.from_bytes(raw[-4:], "little"), fletcher32(memoryview(content)))


@pytest.mark.parametrize("content", [b"\xff" * 5_000_001, bytes(range(256)) * 16_900])
def test_the_checksum_of_a_large_chunk_is_that_of_hdf5(content: bytes) -> None:
    test_the_checksum_is_that_of_hdf5.hypothesis.inner_test(content)  # type: ignore[attr-defined]


def test_an_iteration_that_is_left_early_ends_its_threads(tmp_path: Path) -> None:
    import threading

    source = StoredBlocks(stored(tmp_path, random_showers(100)), block_hits=BLOCK)
    batches = loader(source).batches(0, 1000)
    next(batches)
    batches.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("loader")]
