"""``python -m caloforge.cli.one_process``: one of the processes of ``caloforge train --devices N``."""

from __future__ import annotations

from typing import Any

from caloforge.train.served import serve


def work(request: dict[str, Any]) -> str:
    """Train as asked, with the processes that the environment names; returns the model folder."""
    from caloforge.api import train
    from caloforge.config import Recipe

    recipe = Recipe.model_validate(request["recipe"])
    options = {name: request[name] for name in ("resume", "quiet")}
    return str(train(recipe, request["data"], request["output"], **options))


if __name__ == "__main__":
    serve(work)
