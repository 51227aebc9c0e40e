"""The verdict as a LaTeX table."""

from __future__ import annotations

from caloforge.validate.comparison import Comparison
from caloforge.validate.report.verdict import Row, verdict

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "<": r"$<$",
    ">": r"$>$",
    "|": r"$|$",
}


def latex(text: str) -> str:
    """Text that LaTeX prints as it is."""
    return "".join(_SPECIAL.get(letter, letter) for letter in text)


def _cells(rows: list[Row]) -> dict[str, Row]:
    return {row.name: row for row in rows}


def latex_table(comparison: Comparison) -> str:
    """A ``booktabs`` tabular: a line per figure, a column per sample, the floor last."""
    tables = [_cells(verdict(sample.metrics)) for sample in comparison.judged]
    first = tables[0]
    heads = [latex(sample.name) for sample in comparison.judged]
    lines = [
        r"% needs \usepackage{booktabs}",
        rf"\begin{{tabular}}{{l{'r' * (len(heads) + 1)}}}",
        r"\toprule",
        " & ".join(["", *heads, "floor"]) + r" \\",
    ]
    group = ""
    for name, row in first.items():
        if row.group != group:
            group = row.group
            span = rf"\multicolumn{{{len(heads) + 2}}}{{l}}{{\textbf{{{latex(group)}}}}}"
            lines += [r"\midrule", span + r" \\"]
        values = [latex(table[name].value) if name in table else "-" for table in tables]
        lines.append(" & ".join([latex(row.label), *values, latex(row.floor)]) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])
