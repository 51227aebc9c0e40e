"""The frozen-shower library: draw a real shower of nearly the same energy and rescale it.

The classical fast simulation (G. Grindhammer et al.; ATLAS frozen showers, ATL-SOFT-PUB-2008-002)
and the baseline that every network must beat. It copies its training showers, which the
memorisation check must notice.
"""

from __future__ import annotations

import torch
from pydantic import PositiveInt
from torch import nn

from caloforge.errors import ModelError, ShowerError
from caloforge.geometry import Calorimeter
from caloforge.models.base import DirectModel, Latent, ModelConfig
from caloforge.showers import Showers


class LibraryConfig(ModelConfig):
    """``neighbours``: draw among this many showers nearest in energy (1: always the nearest)."""

    neighbours: PositiveInt = 10


class Library(DirectModel):
    """Frozen-shower library: a real shower near in energy, rescaled.

    Its state is the training showers, sorted by energy, sparse.
    """

    kind = "library"
    config_class = LibraryConfig
    exportable = False

    def __init__(self, calorimeter: Calorimeter, config: ModelConfig) -> None:
        super().__init__(calorimeter, config)
        assert isinstance(config, LibraryConfig)
        self.config: LibraryConfig = config
        self.incident: torch.Tensor = nn.Buffer(torch.zeros(0, dtype=torch.float64))
        self.offset: torch.Tensor = nn.Buffer(torch.zeros(0, dtype=torch.int64))
        self.cell: torch.Tensor = nn.Buffer(torch.zeros(0, dtype=torch.int32))
        self.energy: torch.Tensor = nn.Buffer(torch.zeros(0, dtype=torch.float32))

    @property
    def latent(self) -> Latent:
        """One uniform number: which of the neighbours."""
        return Latent(1, "uniform")

    def fit(self, showers: Showers) -> None:
        """Keep the showers.

        Raises:
            GeometryError: the showers belong to another calorimeter.
            ShowerError: no showers, or an empty one.
        """
        self.calorimeter.require_same(showers.calorimeter, "the training sample")
        if not len(showers) or not showers.hits_per_shower.all():
            raise ShowerError("a library needs showers, each with energy; drop the empty ones")
        order = showers.incident.energy.argsort(kind="stable")
        kept = showers[order]
        self.incident = torch.from_numpy(kept.incident.energy.copy())
        self.offset = torch.from_numpy(kept.offset.astype("int64"))
        self.cell = torch.from_numpy(kept.cell.astype("int32"))
        self.energy = torch.from_numpy(kept.energy.copy())

    def expect_state(self, state: dict[str, torch.Tensor]) -> None:
        """Take the sizes of the saved library."""
        for name, value in self.named_buffers():
            setattr(self, name, torch.zeros_like(state[name]).to(value.dtype))

    def _choose(self, energy: torch.Tensor, draw: torch.Tensor) -> torch.Tensor:
        """The library shower for each energy (MeV): one of the nearest, picked by ``draw``.

        Where more than ``neighbours`` showers have exactly this energy, any of them.
        """
        incident = self.incident
        n = len(incident)
        k = min(self.config.neighbours, n)
        right = torch.searchsorted(incident, energy)
        tied = torch.searchsorted(incident, energy, right=True) - right
        candidates = right[:, None] + torch.arange(-k, k, device=energy.device)
        distance = (incident[candidates.clamp(0, n - 1)] - energy[:, None]).abs()
        distance[(candidates < 0) | (candidates >= n)] = float("inf")
        nearest = distance.argsort(dim=1, stable=True)[:, :k]
        pick = (draw * k).long().clamp(max=k - 1)
        chosen = candidates.gather(1, nearest).gather(1, pick[:, None]).squeeze(1)
        among_equals = right + (draw * tied).long().clamp(max=(tied - 1).clamp(min=0))
        return torch.where(tied > k, among_equals, chosen)

    def forward(self, condition: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Showers in MeV per cell, see :meth:`ShowerModel.forward`."""
        if len(self.incident) == 0:
            raise ModelError("this library is empty; fit it with 'caloforge train library'")
        wanted = condition[:, 0].double()
        chosen = self._choose(wanted, noise[:, 0].double())
        scale = (wanted / self.incident[chosen]).float()
        start, stop = self.offset[chosen], self.offset[chosen + 1]
        counts = stop - start
        rows = torch.repeat_interleave(torch.arange(len(chosen), device=counts.device), counts)
        first = torch.repeat_interleave(start - (counts.cumsum(0) - counts), counts)
        hits = torch.arange(len(rows), device=counts.device) + first
        dense = torch.zeros(len(chosen), self.calorimeter.n_cells, device=condition.device)
        values = self.energy[hits] * scale[rows]
        kept = values >= self.calorimeter.cell_threshold
        dense[rows, self.cell[hits].long()] = torch.where(kept, values, torch.zeros_like(values))
        return dense
