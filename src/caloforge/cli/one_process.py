"""One of the processes that ``caloforge train --devices N`` starts."""

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
