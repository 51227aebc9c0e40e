"""``caloforge doctor``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from caloforge.cli.common import JSON

if TYPE_CHECKING:
    from caloforge.doctor import Finding


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor(as_json: bool = JSON) -> None:
    """Say what this machine has, and what to install for the rest.

    Exit code 1 when a package is missing or broken without which nothing works; optional parts may
    be missing.

    Examples:

      caloforge doctor

      caloforge doctor --json
    """
    from caloforge.doctor import core_works, examine

    findings = examine()
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=1))
    elif sys.stdout.isatty():
        _table(findings)
        typer.echo(_remedies(findings))
    else:
        width = max(len(finding.name) for finding in findings)
        for row in findings:
            typer.echo(f"{row.name:{width}s}  {row.status:7s}  {row.detail}")
        typer.echo(_remedies(findings))
    if not core_works(findings):
        raise typer.Exit(1)


def _table(findings: Iterable[Finding]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    colours = {"ok": "green", "missing": "red", "note": "yellow"}
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("what", no_wrap=True)
    table.add_column("status", no_wrap=True)
    table.add_column("found", overflow="fold")
    for row in findings:
        table.add_row(Text(row.name), Text(row.status, style=colours[row.status]), Text(row.detail))
    Console().print(table)


def _remedies(findings: Iterable[Finding]) -> str:
    """What to type, once per remedy, on lines that no terminal width breaks."""
    names: dict[str, list[str]] = {}
    for row in findings:
        if row.remedy:
            names.setdefault(row.remedy, []).append(row.name)
    lines = [f"  {', '.join(whom)}:\n    {remedy}" for remedy, whom in names.items()]
    return "\n".join(["", "what to do for the rest:", *lines] if lines else ["", "all is here"])
