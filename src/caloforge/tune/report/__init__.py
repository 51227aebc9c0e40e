"""The report of a study: ``index.html``, ``tune.json``, figures, and the best recipes."""

from caloforge.tune.report.write import Tuning, write_tuning

__all__ = ["Tuning", "write_tuning"]
