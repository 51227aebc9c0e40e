"""The CaloChallenge's evaluation, number for number, for the geometries of its four data sets.

``data_sets``: which one a calorimeter is; ``edges``: its histograms; ``features``: its high-level
vector; ``energies``: Etot / Einc at each energy of data set 1. The observables themselves are those
of :mod:`caloforge.observables`, which follow the same definitions.

Source: C. Krause et al., *CaloChallenge 2022: A Community Challenge for Fast Calorimeter
Simulation*, arXiv:2410.21611, and its public evaluation code.
"""
