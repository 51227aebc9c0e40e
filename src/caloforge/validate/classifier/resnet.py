"""The CaloChallenge's image test: a three-dimensional ResNet-18 on the cells of a regular mesh.

torch is imported inside the functions: importing this module stays cheap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from caloforge.errors import GeometryError
from caloforge.geometry import CylindricalGrid
from caloforge.showers import Showers
from caloforge.validate.classifier.calochallenge import EPOCHS, Figures, Progress, network_test
from caloforge.validate.classifier.voxels import calochallenge_low

if TYPE_CHECKING:
    import torch

PLANES = (32, 64, 64, 128)
BLOCKS = (2, 2, 2, 2)

Shape = tuple[int, int, int]


def _block(into: int, planes: int, stride: int) -> torch.nn.Module:
    """Two 3^3 convolutions, batch normalised, and a shortcut: 1^3 where sizes or planes change."""
    from torch import nn

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(
                nn.Conv3d(into, planes, 3, stride=stride, padding=1, bias=False),
                nn.BatchNorm3d(planes),
                nn.ReLU(),
                nn.Conv3d(planes, planes, 3, padding=1, bias=False),
                nn.BatchNorm3d(planes),
            )
            self.shortcut: nn.Module = nn.Identity()
            if stride != 1 or into != planes:
                self.shortcut = nn.Sequential(
                    nn.Conv3d(into, planes, 1, stride=stride, bias=False), nn.BatchNorm3d(planes)
                )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.relu(self.body(x) + self.shortcut(x))

    return Block()


def resnet(shape: Shape) -> torch.nn.Module:
    """A ResNet-18 for rows [log10 Einc, voxels of ``shape``], a logit out; float64.

    Stem: 7^3 convolution with stride 2, batch normalisation, ReLU, 3^3 maximum with stride 2.
    Four stages of two blocks with 32, 64, 64, 128 planes, stride 2 from the second stage on; mean
    over what is left of the image, to which the batch-normalised log10 Einc is joined before
    the last Linear(129, 1). Convolutions start as Kaiming's normal (fan out).

    Source: CaloChallenge, after the 3D-ResNets-PyTorch of K. Hara et al.
    """
    import torch
    from torch import nn

    stages: list[nn.Module] = []
    into = PLANES[0]
    for number, (planes, blocks) in enumerate(zip(PLANES, BLOCKS, strict=True)):
        for k in range(blocks):
            stages.append(_block(into, planes, 2 if number and not k else 1))
            into = planes

    class ResNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.incident = nn.BatchNorm1d(1)
            self.stem = nn.Sequential(
                nn.Conv3d(1, PLANES[0], 7, stride=2, padding=3, bias=False),
                nn.BatchNorm3d(PLANES[0]),
                nn.ReLU(),
                nn.MaxPool3d(3, stride=2, padding=1),
            )
            self.stages = nn.Sequential(*stages)
            self.head = nn.Linear(PLANES[-1] + 1, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            image = self.stages(self.stem(x[:, 1:].reshape(-1, 1, *shape)))
            pooled = image.mean(dim=(2, 3, 4))
            result: torch.Tensor = self.head(torch.cat([pooled, self.incident(x[:, :1])], dim=1))
            return result

    model = ResNet()
    for module in model.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return model.double()


def image_features(showers: Showers) -> tuple[Any, Shape]:
    """Rows of :func:`calochallenge_low` with the cells in image order, and the image's shape.

    (layers, x, y) for a cartesian grid, (layers, alpha, r) for rings, the CaloChallenge's order.

    Raises:
        GeometryError: the layers are not all cut alike.
    """
    calorimeter = showers.calorimeter
    shape = calorimeter.grid_shape
    if shape is None:
        raise GeometryError(
            f"'{calorimeter.name}' is no regular mesh; use calochallenge_classifier on its cells"
        )
    rows = calochallenge_low(showers)
    if not isinstance(calorimeter.layers[0].segmentation, CylindricalGrid):
        return rows, shape
    layers, rings, sectors = shape
    order = np.arange(calorimeter.n_cells).reshape(shape).transpose(0, 2, 1).ravel()
    return rows[:, np.concatenate([[0], 1 + order])], (layers, sectors, rings)


def resnet_classifier(
    reference: Showers,
    generated: Showers,
    *,
    seed: int,
    device: str | None = None,
    epochs: int = EPOCHS,
    progress: Progress | None = None,
) -> Figures:
    """The CaloChallenge's test with :func:`resnet` on whole showers of a regular mesh.

    Everything else as in :func:`calochallenge_classifier`, which says what is returned. The
    voxels are divided by Einc. A GPU is all but needed: hours for 10,000 showers on two cores.

    Raises:
        GeometryError: the layers are not all cut alike, or the samples' geometries differ.

    Source: CaloChallenge (arXiv:2410.21611).
    """
    reference.calorimeter.require_same(generated.calorimeter, "the generated sample")
    (first, shape), (second, _) = image_features(reference), image_features(generated)
    return network_test(
        lambda _: resnet(shape),
        first,
        second,
        seed=seed,
        device=device,
        epochs=epochs,
        progress=progress,
    )
