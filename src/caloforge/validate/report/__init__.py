"""The report: figures as PNG and PDF, and one page that shows them."""

from __future__ import annotations

from pathlib import Path

from caloforge.validate.comparison import Comparison


def write_report(folder: Path, comparison: Comparison) -> Path:
    """Draw all figures into ``folder/figures`` and write ``folder/index.html``."""
    from caloforge.validate.report.figures import draw_all
    from caloforge.validate.report.html import write_page

    return write_page(folder, comparison, draw_all(folder / "figures", comparison))
