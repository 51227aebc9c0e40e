"""The command line: ``caloforge COMMAND``. Heavy imports happen inside the commands."""

from caloforge.cli.main import main

__all__ = ["main"]
