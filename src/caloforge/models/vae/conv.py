"""A convolutional variational autoencoder with an energy stage, for regular grids.

First a flow draws the layers' energies (:mod:`~caloforge.models.sparse.layer_flow`); then the
decoder, given them and normal latents, makes the cells, which are scaled to their layers.

The scheme is that of L. Favaro et al., CaloDREAM (SciPost Phys. 18 (2025) 088, arXiv:2405.09629,
section 3.3; code luigifvr/calo_dreamer), and of the VAE+INN of F. Ernst et al. (arXiv:2312.09290):
an autoencoder of three-dimensional convolutions, each with batch normalisation, and transposed
convolutions, given the incident energy and the layers' energies. Different here:

- the latents are a vector with a standard normal prior, and the loss is the evidence bound with its
  full Kullback-Leibler divergence, so that no second network has to learn the latents' density;
- the decoder gives a density of every cell, from which cells are drawn
  (:mod:`~caloforge.models.sparse.hurdle`): the published one gives means, by binary cross entropy,
  which on sparse silicon cells makes ten times the hits;
- narrower and with fewer blocks, so that it learns on a CPU.
"""

from __future__ import annotations

import torch
from pydantic import PositiveInt

from caloforge.geometry import Calorimeter
from caloforge.models.base import ModelConfig
from caloforge.models.latents import divergence, sample
from caloforge.models.sparse import Drawn, Sparse, SparseConfig
from caloforge.models.vae.conv_networks import Decoder, Encoder
from caloforge.preprocess import GridImage


class ConvVAEConfig(SparseConfig):
    """Sizes of the networks."""

    latents: PositiveInt = 32
    width: PositiveInt = 16
    """Channels of the convolutions."""
    hidden: PositiveInt = 128
    """Size of the hidden dense layers."""


class ConvVAE(Sparse):
    """Convolutional variational autoencoder with an energy stage, for regular grids."""

    kind = "vae-conv"
    config_class = ConvVAEConfig

    def __init__(self, calorimeter: Calorimeter, config: ModelConfig) -> None:
        super().__init__(calorimeter, config)
        assert isinstance(config, ConvVAEConfig)
        self.config: ConvVAEConfig = config
        c = config
        self.grid = GridImage(calorimeter)
        shape, known = self.grid.shape, len(c.condition) + calorimeter.n_layers
        self.encoder = Encoder(shape, known, c.width, c.hidden, c.latents)
        self.decoder = Decoder(shape, c.latents + known, c.width, c.hidden, self.hurdle.size)

    @property
    def latents(self) -> int:
        """Latents of a shower."""
        return self.config.latents

    def draw(self, energy: torch.Tensor, condition: torch.Tensor, noise: Drawn) -> torch.Tensor:
        """Cells (B, L, C) in MeV, see :meth:`Sparse.draw`."""
        known = self.energies.describe(energy, condition)
        numbers = self._rows(self.decoder.infer(torch.cat([noise.latents, known], -1)))
        return self.hurdle.draw(numbers, noise.uniform, noise.normal, energy)

    def losses(self, rows: torch.Tensor, condition: torch.Tensor) -> dict[str, torch.Tensor]:
        """Of the encoder's latents and the decoder's cells, see :meth:`Sparse.losses`."""
        energy = rows.sum(-1)
        hit, level = self.hurdle.levels(rows)
        known = self.energies.describe(energy, condition)
        of_layer = self.energies.features(energy, condition)[..., None].expand_as(hit)
        image = torch.cat([self.grid.to_image(part) for part in (hit, level, of_layer)], 1)
        mean, log_variance = (part.float() for part in self.encoder(image, known))
        numbers = self.decoder(torch.cat([sample(mean, log_variance), known], -1))
        hits, levels = self.hurdle.losses(self._rows(numbers), hit, level)
        apart = divergence(mean, log_variance)
        return {"hits": hits.mean(), "levels": levels.mean(), "divergence": apart.mean()}

    def _rows(self, image: torch.Tensor) -> torch.Tensor:
        """(B, x, y, depth, size) -> (B, L, C, size)."""
        return image.permute(0, 3, 1, 2, 4).flatten(2, 3)
