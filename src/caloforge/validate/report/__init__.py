"""The report: figures as PNG and PDF, a LaTeX table, and one page that shows all."""

from __future__ import annotations

from pathlib import Path

from caloforge.validate.comparison import Comparison


def write_report(folder: Path, comparison: Comparison) -> Path:
    """Draw all figures into ``folder/figures``; write ``metrics.tex`` and ``index.html``."""
    from caloforge.validate.report.figures import draw_all
    from caloforge.validate.report.html import write_page
    from caloforge.validate.report.tables import latex_table

    table = latex_table(comparison)
    (folder / "metrics.tex").write_text(table, encoding="utf-8", errors="backslashreplace")
    return write_page(folder, comparison, draw_all(folder / "figures", comparison))
