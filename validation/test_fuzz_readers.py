"""A short version of the campaign of random damage; see fuzz_readers.py."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from fault_cases import cases
from helpers import ROOT


def test_a_short_campaign_of_random_damage(tmp_path: Path) -> None:
    script = ROOT / "validation" / "fuzz_readers.py"
    report = tmp_path / "report.json"
    command = [sys.executable, str(script), "--runs", "30", "--seed", "7", "--json", str(report)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    counts = json.loads(report.read_text())["formats"]
    assert set(counts) == set(cases())
    for name, one in counts.items():
        assert sum(one.values()) == 30
        assert one["error"] > 5, name
