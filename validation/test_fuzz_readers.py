"""A short campaign of the fuzzer; the long one is in docs/results.md."""

from __future__ import annotations

import subprocess
import sys

from helpers import ROOT


def test_no_damage_gives_a_wrong_number() -> None:
    command = [sys.executable, str(ROOT / "validation" / "fuzz_readers.py"), "--runs", "25"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "caloforge" in done.stdout
