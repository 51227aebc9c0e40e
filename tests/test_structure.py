"""The shape of the code: sizes, public names, nothing left behind."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import caloforge
from helpers import ROOT

SOURCE = sorted((ROOT / "src" / "caloforge").rglob("*.py"))
PACKAGES = sorted(
    {
        ".".join(path.parent.relative_to(ROOT / "src").parts)
        for path in SOURCE
        if path.name == "__init__.py"
    }
)


@pytest.mark.parametrize("path", SOURCE, ids=[str(p.relative_to(ROOT)) for p in SOURCE])
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 500
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno + 1 <= 80, node.name


@pytest.mark.parametrize("name", PACKAGES)
def test_public_names_exist_and_are_sorted(name: str) -> None:
    module = importlib.import_module(name)
    public = getattr(module, "__all__", [])
    assert public == sorted(public)
    for item in public:
        assert hasattr(module, item), item


def test_the_package_says_what_it_offers() -> None:
    assert set(caloforge.__all__) - {"__version__"} == set(caloforge._HOME)
    assert dir(caloforge) == sorted(caloforge.__all__)
    with pytest.raises(AttributeError, match="colour"):
        _ = caloforge.colour


def test_the_bundled_samples_stay_small() -> None:
    total = sum(p.stat().st_size for p in (ROOT / "src/caloforge/samples").iterdir())
    assert 1e6 < total < 6e6


@pytest.mark.parametrize(
    "before",
    [
        "import caloforge.train, caloforge.validate, caloforge.export",
        "caloforge.load_model; caloforge.train",
        "from caloforge.validate import auc; from caloforge.train import fit_model",
        "caloforge.validate; import caloforge.api; import caloforge.train.fit",
        "import caloforge.predict.report; caloforge.load_predictor",
    ],
)
def test_functions_win_over_subpackages_of_the_same_name(before: str) -> None:
    code = (
        f"import caloforge; {before}; from types import FunctionType as F;"
        "print(all(isinstance(getattr(caloforge, n), F)"
        " for n in ('train', 'validate', 'export', 'convert', 'open', 'predict')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"
