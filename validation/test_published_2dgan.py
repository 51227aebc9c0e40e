"""The published 2-D GAN built with Keras, against ours with the same weights."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
import torch

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")

from caloforge.models.twodgan.networks import PlanarDiscriminator, PlanarGenerator  # noqa: E402
from published_keras import assert_same_images, randomise, trainable  # noqa: E402

FIRST = {"data_format": "channels_first"}


def block(x: Any, filters: int, kernel: int, padding: str) -> Any:
    layers = keras.layers
    x = layers.Conv2D(filters, kernel, use_bias=False, padding=padding, **FIRST)(x)
    return layers.Dropout(0.2)(layers.BatchNormalization(axis=1)(layers.LeakyReLU(0.3)(x)))


def generator_path(x: Any) -> Any:
    layers = keras.layers
    x = block(x, 32, 5, "same")
    x = layers.Conv2DTranspose(64, 5, strides=3, padding="same", **FIRST)(x)
    x = block(x, 64, 5, "same")
    x = layers.Conv2DTranspose(64, 5, strides=2, padding="same", **FIRST)(x)
    x = block(block(x, 64, 8, "same"), 64, 5, "valid")
    x = block(block(x, 32, 4, "same"), 32, 3, "same")
    return block(x, 25, 2, "valid")


def discriminator_path(x: Any) -> Any:
    x = block(x, 64, 8, "same")
    for kernel in (6, 5, 4, 3):
        x = block(x, 32, kernel, "valid")
    return block(x, 9, 3, "valid")


def three_ways(x: Any, path: Any) -> Any:
    permute = keras.layers.Permute
    ways = path(x), path(permute((3, 1, 2))(x)), path(permute((2, 3, 1))(x))
    back = ways[0], permute((2, 3, 1))(ways[1]), permute((3, 1, 2))(ways[2])
    return keras.layers.Concatenate(axis=1)(back)


def keras_generator() -> Any:
    layers = keras.layers
    latent = keras.Input((200,))
    x = layers.Reshape((5, 5, 5))(layers.Dense(125)(latent))
    x = three_ways(x, generator_path)
    x = layers.Conv2D(25, 3, use_bias=False, padding="same", **FIRST)(x)
    return keras.Model(latent, layers.ReLU()(x))


def keras_discriminator() -> Any:
    layers = keras.layers
    image = keras.Input((25, 25, 25))
    x = layers.Dense(10)(layers.Flatten()(three_ways(image, discriminator_path)))
    x = layers.BatchNormalization()(layers.LeakyReLU(0.3)(x))
    return keras.Model(image, [layers.Dense(1, activation="sigmoid")(x), layers.Dense(1)(x)])


def copy_weights(source: Any, target: torch.nn.Module) -> None:
    """By the order of layers of each kind, which is the same within every path.

    Keras numbers the layers of a model by their distance from the input, path beside path.
    """
    nn = torch.nn
    kinds: dict[str, Any] = {
        "Dense": nn.Linear,
        "Conv2D": nn.Conv2d,
        "Conv2DTranspose": nn.ConvTranspose2d,
        "BatchNormalization": (nn.BatchNorm1d, nn.BatchNorm2d),
    }
    for kind, ours in kinds.items():
        theirs = [layer for layer in source.layers if type(layer).__name__ == kind]
        mine = [layer for layer in target.modules() if isinstance(layer, ours)]
        theirs.sort(key=lambda layer: _number(layer.name))  # in the order of making
        assert len(theirs) == len(mine)
        for keras_layer, layer in zip(theirs, mine, strict=True):
            _copy([torch.tensor(np.asarray(v)) for v in keras_layer.get_weights()], layer)


def _number(name: str) -> int:
    digits = name.rsplit("_", 1)[-1]
    return int(digits) if digits.isdigit() else 0


def _copy(values: list[torch.Tensor], layer: torch.nn.Module) -> None:
    with torch.no_grad():
        if isinstance(layer, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            places = (layer.weight, layer.bias, layer.running_mean, layer.running_var)
            for place, value in zip(places, values, strict=True):
                assert place is not None
                place.copy_(value)
            return
        weight, bias = layer.weight, layer.bias
        assert isinstance(weight, torch.Tensor)
        weight.copy_(values[0].permute(3, 2, 0, 1) if weight.dim() == 4 else values[0].T)
        if isinstance(bias, torch.Tensor):
            bias.copy_(values[1])


def test_generator_is_the_published_one() -> None:
    reference = keras_generator()
    assert trainable(reference) == 2_053_446
    randomise(reference, 1)
    ours = PlanarGenerator().eval()
    copy_weights(reference, ours)
    latent = np.random.default_rng(2).normal(size=(2, 200)).astype(np.float32)
    assert_same_images(reference, ours, latent)


def test_discriminator_is_the_published_one() -> None:
    reference = keras_discriminator()
    assert trainable(reference) == 712_888
    randomise(reference, 3)
    ours = PlanarDiscriminator().eval()
    copy_weights(reference, ours)
    image = np.random.default_rng(4).exponential(size=(2, 25, 25, 25)).astype(np.float32)
    real, energy = (np.asarray(v.detach())[:, 0] for v in reference(image, training=False))
    with torch.no_grad():
        logit, ours_energy, total = ours(torch.from_numpy(image)[:, None])
    assert torch.sigmoid(logit).numpy() == pytest.approx(real, rel=1e-4)
    assert ours_energy.numpy() == pytest.approx(energy, rel=1e-4, abs=1e-5)
    assert total.numpy() == pytest.approx(image.sum(axis=(1, 2, 3)), rel=1e-5)
