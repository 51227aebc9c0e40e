"""``caloforge detectors``, ``caloforge models`` and ``caloforge formats``: what is there."""

from __future__ import annotations

import typer

from caloforge.cli.common import JSON, report


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("detectors")(detectors)
    app.command("models")(models)
    app.command("formats")(formats)


def detectors(as_json: bool = JSON) -> None:
    """List the calorimeters that come with Caloforge.

    Example:

      caloforge detectors
    """
    from caloforge.geometry import detector_names, load_detector

    rows = [load_detector(name) for name in detector_names()]
    lines = [f"{c.name:24s} {c.n_layers:3d} layers {c.n_cells:6d} cells  {c.hash}" for c in rows]
    result = {
        c.name: {"layers": c.n_layers, "cells": c.n_cells, "hash": c.hash, "about": c.description}
        for c in rows
    }
    report("\n".join(lines), result, False, as_json)


def formats(as_json: bool = JSON) -> None:
    """List the file formats that convert reads and writes, and their --option keys.

    Example:

      caloforge formats
    """
    from caloforge.sources import get_source, source_names

    lines, result = [], {}
    for name in source_names():
        source = get_source(name)
        fields = source.options_class.model_fields
        options = {key: field.description or "" for key, field in fields.items()}
        result[name] = {
            "about": source.description,
            "suffixes": list(source.suffixes),
            "options": options,
        }
        lines.append(f"{name:14s} {source.description}")
        lines += [f"{'':14s}   --option {key}=...  {text}" for key, text in options.items()]
    report("\n".join(lines), result, False, as_json)


def models(as_json: bool = JSON) -> None:
    """List the trained models, the model kinds, and the recipes that train them.

    Example:

      caloforge models
    """
    from caloforge.artifact import read_description
    from caloforge.config import load_recipe, recipe_names
    from caloforge.models import all_kinds, predictor_kinds, published_networks
    from caloforge.shipped import shipped_models

    about = {
        name: (kind.__doc__ or "").strip().splitlines()[0] for name, kind in all_kinds().items()
    }
    networks = {name: published_networks(name) for name in about}
    kinds = {name: f"{text} {_sizes(networks[name])}".rstrip() for name, text in about.items()}
    trained = {name: read_description(name)["detector"] for name in shipped_models()}
    recipes = {name: load_recipe(name).kind for name in recipe_names()}
    blocks = {
        "trained models (caloforge generate NAME)": trained,
        "generators": {n: text for n, text in kinds.items() if n not in predictor_kinds()},
        "predictors": {n: text for n, text in kinds.items() if n in predictor_kinds()},
        "recipes (caloforge train RECIPE)": {n: f"trains {kind}" for n, kind in recipes.items()},
    }
    width = max(len(name) for block in blocks.values() for name in block)
    lines = []
    for title, block in blocks.items():
        lines += [title, *(f"  {name:{width}s}  {text}" for name, text in block.items())]
    result = {
        "trained": trained,
        "kinds": {
            name: {
                "about": text,
                "task": "predict" if name in predictor_kinds() else "generate",
                "detector": all_kinds()[name].home,
                "networks": networks[name],
            }
            for name, text in about.items()
        },
        "recipes": recipes,
    }
    report("\n".join(lines), result, False, as_json)


def _sizes(networks: dict[str, int]) -> str:
    """``(generator 872,808; discriminator 73,402)``, nothing where there is no network."""
    sizes = "; ".join(f"{name} {count:,}" for name, count in networks.items())
    return f"({sizes})" if sizes else ""
