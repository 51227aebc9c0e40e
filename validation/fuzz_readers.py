"""Read damaged files of every format and count what comes of it.

    python validation/fuzz_readers.py --runs 1000 --seed 1 --json fuzz.json

A small good file of every format is damaged at random, again and again: bytes changed, blocks
zeroed, swapped or inserted, the end cut off. Reading must then give one clear error or the same
showers. The files are read in a child process; where it crashes or hangs, that is counted and a
new child goes on. Run k of a format depends on the seed and k only: ``--first K --runs 1`` repeats
it. The exit code is 1 when there was a foreign exception, a crash, or other showers from a file
that has checksums.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from fault_cases import WITHOUT_CHECKSUM, cases, judge, mutate

LIMIT_S = 60
"""Longest time for one file."""

MEMORY = 8 << 30
"""Address space of a child: a damaged size must not take the whole machine."""

VERDICTS = ("error", "identical", "other", "foreign", "crash")

Job = tuple[str, int]
"""A format, and the number of a run."""


def child(jobs: list[Job], seed: int) -> None:
    """Do the jobs; print one line of JSON for each."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    known = cases()
    name, content, expected = "", b"", None
    with tempfile.TemporaryDirectory() as folder:
        for wanted, number in jobs:
            case = known[wanted]
            if expected is None or wanted != name:
                good = case.write(Path(folder))
                name, content, expected = wanted, good.read_bytes(), case.read(good)
            rng = np.random.default_rng([seed, number, *wanted.encode()])
            kind, damaged = mutate(content, rng)
            path = Path(folder) / f"damaged{case.suffix}"
            path.write_bytes(damaged)
            faulthandler.dump_traceback_later(LIMIT_S, exit=True)
            verdict, said = judge(case, path, expected)
            faulthandler.cancel_dump_traceback_later()
            result = {"format": name, "run": number, "kind": kind, "verdict": verdict, "said": said}
            print(json.dumps(result), flush=True)


def campaign(jobs: list[Job], seed: int) -> Iterator[dict[str, Any]]:
    """The results of all jobs, whatever happens to the children."""
    while jobs:
        command = [sys.executable, __file__, "--child", "--seed", str(seed)]
        with (
            tempfile.TemporaryFile("w+") as errors,
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
            ) as process,
        ):
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(jobs))
            process.stdin.close()
            for line in process.stdout:
                jobs = jobs[1:]
                yield json.loads(line)
            code = process.wait()
            errors.seek(0)
            said = errors.read()
        if jobs:
            (name, number), *jobs = jobs
            text = f"exit code {code}: {said[-2000:]}"
            yield {"format": name, "run": number, "kind": "?", "verdict": "crash", "said": text}


def run(names: list[str], first: int, runs: int, seed: int) -> dict[str, Any]:
    """Counts per format, and the runs that went wrong."""
    counts = {name: dict.fromkeys(VERDICTS, 0) for name in names}
    wrong: list[dict[str, Any]] = []
    numbers = range(first, first + runs)
    # a child per format: what uproot remembers of damaged classes must not change other formats
    for result in chain(*(campaign([(name, k) for k in numbers], seed) for name in names)):
        name, verdict = result["format"], result["verdict"]
        counts[name][verdict] += 1
        allowed = verdict == "other" and name in WITHOUT_CHECKSUM
        if verdict in ("other", "foreign", "crash") and not allowed:
            wrong.append(result)
    return {"seed": seed, "first": first, "runs": runs, "formats": counts, "wrong": wrong}


def table(report: dict[str, Any]) -> str:
    """The counts as a Markdown table."""
    titles = ("clear error", "identical", "other showers", "foreign exception", "crash or hang")
    lines = ["| format | " + " | ".join(titles) + " |", "|---" * (len(titles) + 1) + "|"]
    for name, counts in report["formats"].items():
        lines.append(f"| {name} | " + " | ".join(str(counts[key]) for key in VERDICTS) + " |")
    return "\n".join(lines)


def main() -> int:
    """Parse the command line; see the module."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=1000, help="damaged files per format")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first run")
    parser.add_argument("--format", choices=list(cases()), help="this format only")
    parser.add_argument("--json", type=Path, help="write the counts and what went wrong here")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        child([(name, number) for name, number in json.load(sys.stdin)], asked.seed)
        return 0
    names = [asked.format] if asked.format else list(cases())
    report = run(names, asked.first, asked.runs, asked.seed)
    if asked.json:
        asked.json.write_text(json.dumps(report, indent=1))
    print(table(report))
    for result in report["wrong"]:
        print(json.dumps(result))
    return 1 if report["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
