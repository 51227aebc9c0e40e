"""The command line: ``caloforge COMMAND``. Heavy imports happen inside the commands."""

from caloforge.cli.entry import main

__all__ = ["main"]
