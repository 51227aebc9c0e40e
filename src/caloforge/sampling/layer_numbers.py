"""How the numbers of a layer become the networks' units, the same in training and in generation."""

from __future__ import annotations

HITS_OFFSET = 0.5
"""ln(hits - 0.5) describes the hits of a layer; in training the 0.5 is a random number."""

WIDTH_OFFSET = 0.3
"""ln(width + 0.3 cells) describes a width."""

LEAST_LAYER = 1e-3
"""MeV; smaller layer energies are not told apart."""

FEATURES = 6
"""ln E, ln(hits - 0.5), centre x and y, ln(width + 0.3) in x and y."""

LEFT_CLIP = 6.0
"""Largest standardised logarithm of the energy that is left."""

NEVER = -1e4
"""Logit of cells that do not exist."""
