"""Every command and every line of Python in the README and the tutorials runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from caloforge.cli.entry import run
from helpers import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs" / "tutorials").glob("*.md"))]
NEEDS_GEANT4 = "<!-- needs Geant4 and its tables -->"
BLOCK = re.compile(r"```(bash|python)\n(.*?)```", re.DOTALL)


def shorten(words: list[str]) -> list[str]:
    """The same command on a few showers and steps: the words stay, the amounts shrink."""
    if words[0] == "train" and words[1] != "library":
        return [*words, "--set", "training.max_steps=1", "--set", "training.batch_size=2"]
    if words[0] == "tune":
        place = words.index("--trials") + 1
        words = [*words[:place], str(min(2, int(words[place]))), *words[place + 1 :]]
        if words[1] == "library":
            return words
        return [*words, "--max-steps", "1"]
    if words[0] == "convert":
        return [*words, "--limit", "60"]
    if words[0] == "validate":
        return [*words, "--quick"]
    if words[0] in ("quickstart", "serve"):  # the first has a test, the other never ends
        return [words[0], "--help"]
    if words[:2] == ["bench", "simulate"]:
        return [*words, "-n", "1", "--energy", "11" if "--fast" in words else "1"]
    if words[:2] == ["bench", "io"]:
        return [*words, "--rounds", "1", "-n", "60"]
    if words[0] == "bench":
        return [*words, "--seconds", "0.1"]
    if words[0] == "simulate" and "--fast" in words:
        return [*words, "-n", "40"]
    if words[0] == "simulate" and "--like" in words and "gflash" not in words:
        return [*words, "-n", "10"]
    if words[0] == "simulate" and "gflash" not in words:
        return [*words, "-n", "4", "--energy", "2:5"]
    if words[0] == "generate" and "-n" in words:
        place = words.index("-n") + 1
        return [*words[:place], str(min(60, int(words[place]))), *words[place + 1 :]]
    return words


def fewer(text: str) -> str:
    """Python with studies of two trials."""
    return re.sub(r"trials=\d+", "trials=2", text)


def blocks(page: Path) -> list[tuple[str, str]]:
    return BLOCK.findall(page.read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", PAGES, ids=[p.name for p in PAGES])
def test_the_page_runs(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    if NEEDS_GEANT4 in page.read_text(encoding="utf-8"):
        request.getfixturevalue("geant4")
    monkeypatch.chdir(tmp_path)
    for example in (ROOT / "examples").glob("*/*.root"):
        (tmp_path / example.name).symlink_to(example)
    commands = 0
    for language, text in blocks(page):
        if language == "python":
            exec(compile(fewer(text), str(page), "exec"), {})
            commands += 1
            continue
        for line in text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words and words[0] == "caloforge":
                assert run(shorten(words[1:])) == 0, line
                commands += 1
            elif words and words[0] == "make":
                targets = (ROOT / "Makefile").read_text(encoding="utf-8")
                assert all(f"\n{target}:" in targets for target in words[1:]), line
    assert commands >= 2


def test_relative_links_lead_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
