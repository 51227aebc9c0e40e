"""Stream generated showers to a store file with bounded memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from caloforge.errors import ConfigError
from caloforge.runtime import Engine, shower_batches
from caloforge.showers import Incident, Provenance
from caloforge.store import StoreWriter


@dataclass(frozen=True)
class Generation:
    """What was written, and how fast: ms per shower in the engine, and in all.

    The engine's first batch does not count where there are more: it compiles and warms up.
    """

    path: Path
    showers: int
    empty: int
    generation_ms: float
    total_ms: float


def generate_to_store(
    engine: Engine,
    incident: Incident,
    output: str | Path,
    *,
    seed: int = 0,
    batch_size: int = 128,
    config: Mapping[str, Any] | None = None,
    inputs: Mapping[str, str] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Generation:
    """Generate one shower per incident particle into the store file ``output``.

    Args:
        engine: runs the model.
        incident: the particles.
        output: file to write.
        seed: same seed, same showers, whatever the batch size.
        batch_size: showers per engine call.
        config: further settings, for the provenance.
        inputs: digests of further files, for the provenance.
        progress: called with (showers done, showers in all).

    Raises:
        ConfigError: no particles.
        OutputError, ModelError: see their messages.
    """
    if len(incident) == 0:
        raise ConfigError(f"no particles, so no showers for {output}; give one at least")
    provenance = Provenance(
        step="generate",
        geometry=engine.calorimeter.hash,
        config={
            "engine": engine.name,
            "batch_size": batch_size,
            **{key: value for key, value in (config or {}).items() if value is not None},
        },
        seed=seed,
        inputs={**engine.inputs, **(inputs or {})},
        parents=(engine.description["provenance"],),
    )
    empty = done = 0
    spent: list[tuple[float, int]] = []
    begin = time.perf_counter()
    with StoreWriter(output, engine.calorimeter, provenance) as writer:
        batches = shower_batches(
            engine, incident, seed=seed, batch_size=batch_size, provenance=provenance
        )
        while True:
            start = time.perf_counter()
            batch = next(batches, None)
            if batch is None:
                break
            spent.append((time.perf_counter() - start, len(batch)))
            writer.append(batch)
            done += len(batch)
            empty += int((batch.hits_per_shower == 0).sum())
            if progress:
                progress(done, len(incident))
        seconds, showers = (sum(part) for part in zip(*(spent[1:] or spent), strict=True))
        milliseconds = round(1000 * seconds / showers, 4)
        writer.provenance = replace(provenance, source={"generation_ms": milliseconds})
    total = round(1000 * (time.perf_counter() - begin) / len(incident), 4)
    return Generation(Path(output), done, empty, milliseconds, total)
