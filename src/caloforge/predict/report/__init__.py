"""The report of predictions: figures as PNG and PDF, and one page that shows all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from caloforge.predict.table import Table


def write_report(folder: Path, table: Table, metrics: dict[str, Any]) -> Path:
    """Draw all figures into ``folder/figures`` and write ``index.html``."""
    from caloforge.predict.report.figures import draw_all
    from caloforge.predict.report.html import write_page

    return write_page(folder, metrics, draw_all(folder / "figures", table, metrics))
