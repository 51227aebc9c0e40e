"""Our own simulation against electrons simulated by other code: tests on every observable."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from scipy.stats import chi2, ks_2samp

from caloforge.conversion import convert
from caloforge.showers import Showers
from caloforge.store import open_showers
from caloforge.validate import Observables, observables
from simulated.estimators import Floats, counts_chi2, holm, mean
from simulated.tables import Samples, Table

DETECTOR = "lcd-ecal-25"
BINS = 24
"""Of the logarithm of the cell energy."""


def two_samples(folder: Samples, reference: Path) -> list[Table]:
    """lcd-like.h5 against the reference electrons, in any format that ``convert`` reads."""
    found = folder.read("lcd-like")
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "reference.h5"
        convert(reference, path, detector=DETECTOR)
        expected = open_showers(path).read().above_threshold()
    found.calorimeter.require_same(expected.calorimeter, "the reference")
    return [_tests(found, expected), _spectrum(found, expected)]


def quantities(showers: Showers) -> dict[str, Floats]:
    """What is compared, one number per shower."""
    table: Observables = observables(showers)
    layers = table.layer_energy / table.layer_energy.sum(axis=1, keepdims=True)
    names = ("centre x", "centre y", "depth", "width x", "width y", "width z")
    moments = dict(zip((f"{name}, mm" for name in names), table.moments.T, strict=True))
    return {
        "incident energy, MeV": table.energy,
        "visible / incident": table.response,
        "hits above threshold": table.hits,
        **moments,
        **{f"share of layer {k}": layers[:, k] for k in range(layers.shape[1])},
    }


def _tests(found: Showers, expected: Showers) -> Table:
    ours, theirs = quantities(found), quantities(expected)
    p_values = [float(ks_2samp(ours[name], theirs[name]).pvalue) for name in ours]
    corrected = holm(p_values)
    columns = ("observable", "simulated", "reference", "difference / error", "KS p-value", "Holm")
    title = f"Electrons of 10-100 GeV in {DETECTOR}: {len(found)} against {len(expected)}"
    table = Table(title, columns)
    rows = zip(ours, p_values, corrected, strict=True)
    kept = [row for row in rows if "layer" not in row[0]]
    lowest = min(zip(ours, p_values, corrected, strict=True), key=lambda row: row[1])
    layers = [row for row in zip(ours, p_values, corrected, strict=True) if "layer" in row[0]]
    for name, p, holm_p in [*kept, min(layers, key=lambda row: row[1])]:
        a, b = mean(ours[name]), mean(theirs[name])
        pull = round((a - b).pull(0.0), 2)
        table.add(name, a, b, pull, round(p, 4), round(float(holm_p), 4))
    table.note = (
        f"{len(p_values)} Kolmogorov-Smirnov tests; of the {len(layers)} layers only the one with "
        f"the smallest p-value is shown. Smallest of all: {lowest[1]:.3g} ({lowest[0]}), corrected "
        f"for their number (Holm) {lowest[2]:.3g}. Both samples hold the cells above "
        f"{found.calorimeter.cell_threshold * 1e3:g} keV; the smallest is {found.energy.min():.6f} "
        f"MeV in ours and {expected.energy.min():.6f} MeV in the reference."
    )
    return table


def _spectrum(found: Showers, expected: Showers) -> Table:
    """Hits per shower in bins of the cell energy."""
    high = float(max(found.energy.max(), expected.energy.max()))
    edges = np.geomspace(found.calorimeter.cell_threshold, high * 1.0001, BINS + 1)
    ours, theirs = (_counts(showers, edges) for showers in (found, expected))
    full = (ours.sum(axis=0) > 20) & (theirs.sum(axis=0) > 20)
    value, ndf = counts_chi2(ours[:, full], theirs[:, full])
    columns = ("chi2 / ndf", "p-value", "hits per shower", "reference", "hits below 10 keV")
    table = Table("Spectrum of the cell energies", columns)
    per_shower = [mean(showers.hits_per_shower.astype(np.float64)) for showers in (found, expected)]
    p_value = float(chi2.sf(value, ndf))
    share_below = float((found.energy < 0.01).mean())
    table.add(f"{value:.1f} / {ndf}", round(p_value, 4), per_shower[0], per_shower[1], share_below)
    table.note = (
        f"Hits per shower in {int(full.sum())} bins of the logarithm of the energy; the covariance "
        "of the bins is that from shower to shower."
    )
    return table


def _counts(showers: Showers, edges: Floats) -> Floats:
    bins = len(edges) - 1
    place = np.searchsorted(edges, showers.energy, side="right") - 1
    inside = (place >= 0) & (place < bins)
    keys = showers.hit_shower[inside] * bins + place[inside]
    counts = np.bincount(keys, minlength=len(showers) * bins)
    return counts.reshape(len(showers), bins).astype(np.float64)
