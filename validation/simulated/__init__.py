"""The sections of simulation_figures.py and what they are computed with."""
