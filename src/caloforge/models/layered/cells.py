"""Cells given a layer's numbers: a variational autoencoder with a sparse likelihood.

Six numbers of a layer are physics (its energy, hits, centres and widths), the others are learned by
an encoder (D. Kingma, M. Welling, ICLR 2014). The decoder gives every cell the logit of a hit and
a place on the grid of spectra; the energies of hits are then independent, and the hits of a layer
form a Markov field (:mod:`.field`). Encoder and decoder are shared by all layers, with an embedding
of the layer and offsets for its cells and rings; far from the axis they know groups of cells only.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from caloforge.models import draws
from caloforge.models.layered.config import LayeredConfig
from caloforge.models.layered.field import Field
from caloforge.models.layered.groups import groups_of
from caloforge.models.layered.hits import Hits
from caloforge.models.layered.mixtures import perceptron
from caloforge.models.layered.spectra import Spectra
from caloforge.sampling.grid import RINGS, LayerGrid
from caloforge.sampling.layer_numbers import FEATURES, NEVER

EMBEDDING = 16
LOG_VARIANCE = (-8.0, 2.0)
LEAST_SPREAD = 0.1
LEAST_MOMENT_SPREAD = 1e-3
"""Least variance of expected hits, and of moments (MeV, cells): a single track leaves 0.16 MeV."""


class Cells(nn.Module):
    """Encoder, decoder and likelihood of the cells of layers.

    Args:
        grid: the layers and their cells.
        config: sizes.
        particle: numbers that are known of the particle.
    """

    def __init__(self, grid: LayerGrid, config: LayeredConfig, particle: int) -> None:
        super().__init__()
        layers, cells = grid.number.shape
        group = groups_of(grid)
        self.groups = int(group.max()) + 1
        self.latents = config.latents
        self.feature_mean: torch.Tensor = nn.Buffer(torch.zeros(layers, FEATURES))
        self.feature_std: torch.Tensor = nn.Buffer(torch.ones(layers, FEATURES))
        self.group: torch.Tensor = nn.Buffer(torch.from_numpy(group))
        position = torch.from_numpy(np.stack([grid.x, grid.y])).float()
        self.position: torch.Tensor = nn.Buffer(position, persistent=False)
        self.embedding = nn.Embedding(layers, EMBEDDING)
        known = FEATURES + particle + EMBEDDING
        self.encoder = perceptron(
            [2 * self.groups + known, *config.encoder, 2 * config.latents], open_end=True
        )
        self.decoder = perceptron([known + config.latents, *config.decoder], open_end=False)
        self.last = nn.Linear(config.decoder[-1], 3 * self.groups)
        self.offset = nn.Parameter(torch.zeros(layers, 3, cells))
        self.rings = nn.Parameter(torch.zeros(layers, 3, RINGS))
        ring = torch.from_numpy(grid.ring)[:, None].expand(-1, 3, -1)
        self.ring: torch.Tensor = nn.Buffer(ring, persistent=False)
        self.field = Field(grid, group)
        self.spectra = Spectra(config.bins, config.spectra_grid, config.spectra_knots)

    def begin(self, hit_share: torch.Tensor) -> None:
        """Start from the share of showers that hit each cell, (layers, cells)."""
        with torch.no_grad():
            self.offset[:, 0] = torch.logit(hit_share)
            self.last.weight[: self.groups] *= 0.1

    def offsets(self) -> torch.Tensor:
        """What is added to what the decoder says, (layers, 3, cells).

        A hundred showers hit a far cell once: that a ring is hit too seldom is seen much earlier
        than for each of its cells.
        """
        return self.offset + self.rings.gather(2, self.ring)

    def encode(self, hits: Hits, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Hits and features (B, L, n) of their layers -> means and ln variances (B, L, latents)."""
        place = self.embedding.weight.expand(len(features), -1, -1)
        score = self.spectra.score[self.spectra.bin_of(hits.energy)]
        at = hits.row * (2 * self.groups) + self.group[hits.cell]
        seen = torch.zeros(features[..., 0].numel() * 2 * self.groups, device=score.device)
        seen.index_add_(0, at, score)
        seen.index_add_(0, at + self.groups, torch.full_like(score, 0.5))
        seen = seen.view(*features.shape[:2], 2 * self.groups)
        mean, log_variance = (
            self.encoder(torch.cat([seen, features, place], -1)).float().chunk(2, dim=-1)
        )
        return mean, log_variance.clamp(*LOG_VARIANCE)

    def some_latents(self, hits: Hits, features: torch.Tensor) -> torch.Tensor:
        """Learned numbers (B, L, latents) drawn for real cells, see :meth:`encode`."""
        mean, log_variance = self.encode(hits, features)
        return _drawn(mean, log_variance)

    def decode(self, features: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        """What the decoder says of groups of cells: logit of a hit, place on the grid of spectra.

        Args:
            features: (B, L, n) of the layers, and what is known of the particle.
            latents: (B, L, latents).

        Returns:
            (B L, 3, groups).
        """
        place = self.embedding.weight.expand(len(features), -1, -1)
        h: torch.Tensor = self.last(self.decoder(torch.cat([features, latents, place], dim=-1)))
        return h.float().view(-1, 3, self.groups)

    def logits(self, decoded: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        """Logits (C, B, L) of hits.

        Args:
            decoded: see :meth:`decode`.
            there: (C, B, L) cells that can be hit.
        """
        said = decoded[:, 0].t().contiguous().index_select(0, self.group)
        own = self.offsets()[:, 0].t()[:, None]
        return (said.view_as(there) + own).masked_fill(~there, NEVER)

    def losses(
        self,
        hits: Hits,
        features: torch.Tensor,
        there: torch.Tensor,
        hit_layer: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """Terms of the negative evidence lower bound, per shower.

        The bound of the hits is that of their pseudo-likelihood.

        Args:
            hits: of B showers.
            features: (B, L, n) standardised.
            there: (C, B, L) cells that can be hit.
            hit_layer: (B, L) layers with hits; the others are not learned from.
        """
        mean, log_variance = self.encode(hits, features)
        latents = _drawn(mean, log_variance)
        decoded = self.decode(features, latents)
        divergence = 0.5 * (mean**2 + log_variance.exp() - 1.0 - log_variance).sum(-1)
        return {
            "hits": self.field.pseudo(self.logits(decoded, there), hits, hit_layer),
            "energies": self.energies(decoded, hits),
            "latents": (divergence * hit_layer).sum() / hits.showers,
        }

    def energies(self, decoded: torch.Tensor, hits: Hits) -> torch.Tensor:
        """Minus ln p of the energies per shower; decoded as :meth:`decode`."""
        place, number = self._places(decoded, hits), self.spectra.bin_of(hits.energy)
        return -self.spectra.log_share(place, number).sum() / hits.showers

    def _places(self, decoded: torch.Tensor, hits: Hits) -> torch.Tensor:
        """Places (n, 2) of hits on the grid of spectra."""
        cells, offset = self.offset.shape[2], self.offsets().flatten()
        from_group = hits.row * (3 * self.groups) + self.group[hits.cell]
        from_cell = hits.layer * (3 * cells) + hits.cell
        place = [
            decoded.flatten().index_select(0, from_group + number * self.groups)
            + offset.index_select(0, from_cell + number * cells)
            for number in (1, 2)
        ]
        return torch.stack(place, -1)

    def misfit(
        self,
        decoded: torch.Tensor,
        logits: torch.Tensor,
        hits: Hits,
        moments: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """How far layers are from their expected hits and moments: chi2 per shower, halved.

        Expected are the hits given those beside every cell, and the moments of the energy (sum,
        first and second about the centre) given the hits' cells.

        Args:
            decoded, logits: see :meth:`decode`, :meth:`logits`.
            hits: of the showers.
            moments: (B, L, 6) of their layers.
        """
        chance = self.field.given(logits, hits).sigmoid()
        spread = (chance * (1.0 - chance)).sum(0).detach() + LEAST_SPREAD
        of_hits = (chance.sum(0) - moments[..., 1]) ** 2 / spread * (moments[..., 1] > 0)
        mean, variance = self.spectra.moments(self._places(decoded, hits))
        basis = self._basis(hits, moments)
        missing = hits.sums((hits.energy - mean)[:, None] * basis)
        spread = hits.sums(variance.detach()[:, None] * basis**2) + LEAST_MOMENT_SPREAD
        of_energies = missing**2 / spread
        return {
            "hits": 0.5 * of_hits.sum() / hits.showers,
            "moments": 0.5 * of_energies.sum() / hits.showers,
        }

    def _basis(self, hits: Hits, moments: torch.Tensor) -> torch.Tensor:
        """What a hit's energy is multiplied with in the moments of its layer, (n, 5)."""
        of_layer = moments.flatten(0, 1)[hits.row]
        x, y = (self.position[:, hits.layer, hits.cell] - of_layer[:, 2:4].t()).unbind()
        width_x, width_y = of_layer[:, 4:].unbind(1)
        return torch.stack([torch.ones_like(x), x, y, x**2 - width_x**2, y**2 - width_y**2], -1)


def _drawn(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """Normal numbers with these means and ln variances, both (B, L, latents)."""
    noise = draws.normal(*mean.shape, device=mean.device)
    return mean + noise * (0.5 * log_variance).exp()
