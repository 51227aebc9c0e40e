"""What a worker does for a shard of generated showers."""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from caloforge.engines import open_engine
from caloforge.errors import CaloforgeWarning
from caloforge.runtime import Engine, shower_batches
from caloforge.showers import Incident, Provenance, Showers
from caloforge.tasks import Advance, Shard
from caloforge.tasks.ledger import ENGINE_SECONDS


@dataclass
class GenerationJob:
    """Generate the particles of a shard; the engine is opened once in every process.

    Args:
        model: folder or exported file.
        engine: its name.
        incident: all particles of the run.
        seed: same seed, same showers.
        batch_size: showers per call of the engine.
        threads: of the engine; its own choice when 0.
    """

    model: Path
    engine: str
    incident: Incident
    seed: int
    batch_size: int
    threads: int = 0
    _opened: Engine | None = field(default=None, repr=False)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_opened": None}  # workers open their own

    def use(self, engine: Engine) -> None:
        """Take an engine that is open already; not sent to other processes."""
        self._opened = engine

    def prepare(self) -> None:
        """Open the engine, and let it compile on a batch that does not count."""
        if self._opened is not None:
            return
        self._opened = open_engine(self.model, self.engine, threads=self.threads)
        few = self.incident.take(slice(0, self.batch_size))
        for _ in self._batches(Shard(0, 0, len(few))):
            pass

    def __call__(self, shard: Shard, advance: Advance) -> Showers:
        """The showers of the shard, with the time that the engine took."""
        self.prepare()
        batches = self._batches(shard)
        made: list[Showers] = []
        spent, done = 0.0, 0
        while True:
            start = time.perf_counter()
            batch = next(batches, None)
            if batch is None:
                break
            spent += time.perf_counter() - start
            made.append(batch)
            done += len(batch)
            advance(done)
        showers = Showers.concatenate(made)
        source = {**showers.provenance.source, ENGINE_SECONDS: spent}
        return showers.with_provenance(replace(showers.provenance, source=source))

    def _batches(self, shard: Shard) -> Iterator[Showers]:
        assert self._opened is not None, "prepare() comes first"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CaloforgeWarning)  # said once for the whole run
            yield from shower_batches(
                self._opened,
                self.incident.take(slice(shard.start, shard.stop)),
                seed=self.seed,
                batch_size=self.batch_size,
                first=shard.start,
                provenance=Provenance("generate", geometry=self._opened.calorimeter.hash),
            )
