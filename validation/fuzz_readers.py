"""Damage small files of every format at random and read them: ``python validation/fuzz_readers.py``.

Every damaged file must give a clear error or exactly the showers that were written. Every format's
campaign runs in a process of its own, so that a crash of a library ends only that one; it is then
reported with the number of the run that made it.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from fault_cases import WITHOUT_CHECKSUM, cases, judge


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """The file with one kind of damage: flipped bytes, a lost, swapped, doubled or cut piece."""
    data = bytearray(content)
    size = len(data)
    kind = rng.integers(6)
    start = int(rng.integers(size))
    length = int(min(2 ** rng.integers(1, 11), size - start))
    if kind == 0:
        for place in rng.integers(size, size=int(rng.integers(1, 5))):
            data[int(place)] ^= int(rng.integers(1, 256))
    elif kind == 1:
        data[start : start + length] = bytes(length)
    elif kind == 2:
        other = int(rng.integers(size - length + 1))
        data[start : start + length] = content[other : other + length]
    elif kind == 3:
        del data[start : start + length]
    elif kind == 4:
        data[start:start] = rng.bytes(length)
    else:
        del data[start:]
    return bytes(data)


def campaign(name: str, runs: int, seed: int, pipe: Connection) -> None:
    """Read ``runs`` damaged files; after every run its verdict goes through the pipe."""
    case = cases()[name]
    with tempfile.TemporaryDirectory() as folder:
        good = case.write(Path(folder))
        expected, content = case.read(good), good.read_bytes()
        bad = Path(folder) / f"bad{case.suffix}"
        for run in range(runs):
            bad.write_bytes(damaged(content, np.random.default_rng([seed, run])))
            pipe.send(judge(case, bad, expected))


def fuzz(names: list[str], runs: int, seed: int) -> dict[str, dict[str, int]]:
    """The number of every verdict, by kind of file; what is wrong is printed on the way."""
    context = multiprocessing.get_context("spawn")
    counts: dict[str, dict[str, int]] = {}
    for name in names:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=campaign, args=(name, runs, seed, theirs))
        process.start()
        theirs.close()
        verdicts: Counter[str] = Counter()
        for run in range(runs):
            try:
                verdict, said = ours.recv()
            except EOFError:
                verdicts["crash"] += 1
                print(f"{name}: run {run} of seed {seed} ended the process", file=sys.stderr)
                break
            verdicts[verdict] += 1
            if verdict == "foreign" or (verdict == "other" and name not in WITHOUT_CHECKSUM):
                print(f"{name}: run {run} of seed {seed}: {verdict} {said}", file=sys.stderr)
        process.join()
        counts[name] = dict(verdicts)
    return counts


def wrong(counts: dict[str, dict[str, int]]) -> int:
    """How many verdicts must not be."""
    total = 0
    for name, verdicts in counts.items():
        total += verdicts.get("foreign", 0) + verdicts.get("crash", 0)
        total += 0 if name in WITHOUT_CHECKSUM else verdicts.get("other", 0)
    return total


def main() -> int:
    """Run the campaigns and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000, help="damaged files per format")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--format", action="append", choices=list(cases()), help="only these")
    parser.add_argument("--json", type=Path, help="write the counts to this file")
    arguments = parser.parse_args()
    counts = fuzz(arguments.format or list(cases()), arguments.runs, arguments.seed)
    for name, verdicts in counts.items():
        print(f"{name:18s}", *(f"{number:6d} {verdict}" for verdict, number in verdicts.items()))
    if arguments.json:
        arguments.json.write_text(json.dumps(counts, indent=1) + "\n", encoding="utf-8")
    return 1 if wrong(counts) else 0


if __name__ == "__main__":
    sys.exit(main())
