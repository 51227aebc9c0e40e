"""Caloforge."""
