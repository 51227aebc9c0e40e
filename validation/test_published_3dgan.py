"""The published 3DGAN networks built with Keras, against ours with the same weights."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
import torch

os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")

from caloforge.geometry import load_detector  # noqa: E402
from caloforge.models.threedgan.angle_networks import (  # noqa: E402
    AngleDiscriminator,
    AngleGenerator,
)
from caloforge.models.threedgan.fixed_networks import Discriminator, Generator  # noqa: E402
from caloforge.models.threedgan.measured_angle import MeasuredAngle  # noqa: E402
from published_keras import assert_same_images, randomise, trainable  # noqa: E402


def keras_generator() -> Any:
    """Layer by layer as in Eur. Phys. J. C 82 (2022) 386 (fixed angle)."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((200,)),
            layers.Dense(64 * 7 * 7),
            layers.Reshape((7, 7, 8, 8)),
            layers.Conv3D(64, (6, 6, 8), padding="same"),
            layers.LeakyReLU(),
            layers.BatchNormalization(),
            layers.UpSampling3D((2, 2, 2)),
            layers.ZeroPadding3D((2, 2, 0)),
            layers.Conv3D(6, (6, 5, 8)),
            layers.LeakyReLU(),
            layers.BatchNormalization(),
            layers.UpSampling3D((2, 2, 3)),
            layers.ZeroPadding3D((1, 0, 3)),
            layers.Conv3D(6, (3, 3, 8)),
            layers.LeakyReLU(),
            layers.Conv3D(1, (2, 2, 2), use_bias=False),
            layers.ReLU(),
        ]
    )


def keras_discriminator() -> Any:
    layers = keras.layers
    image = keras.Input((25, 25, 25, 1))
    x = layers.Conv3D(32, (5, 5, 5), padding="same")(image)
    x = layers.Dropout(0.2)(layers.LeakyReLU()(x))
    for padding in (2, 2, 1):
        x = layers.Conv3D(8, (5, 5, 5))(layers.ZeroPadding3D(padding)(x))
        x = layers.Dropout(0.2)(layers.BatchNormalization()(layers.LeakyReLU()(x)))
    flat = layers.Flatten()(layers.AveragePooling3D(2)(x))
    heads = [layers.Dense(1, activation="sigmoid")(flat), layers.Dense(1)(flat)]
    return keras.Model(image, heads)


def keras_angle_generator() -> Any:
    """Layer by layer as in Eur. Phys. J. C 82 (2022) 386 (variable angle)."""
    layers = keras.layers
    stack = [
        keras.Input((256,)),
        layers.Dense(5184),
        layers.Reshape((9, 9, 8, 8)),
        layers.UpSampling3D((6, 6, 6)),
        layers.Conv3D(8, (6, 6, 8), activation="relu"),
        layers.BatchNormalization(epsilon=1e-6),
    ]
    for padding, kernel in (*3 * [((2, 2, 1), (4, 4, 6))], ((1, 1, 0), (3, 3, 5))):
        stack += [
            layers.ZeroPadding3D(padding),
            layers.Conv3D(6, kernel, activation="relu"),
            layers.BatchNormalization(epsilon=1e-6),
        ]
    stack += [
        layers.ZeroPadding3D((1, 1, 0)),
        layers.Conv3D(6, (3, 3, 3), activation="relu"),
        layers.Conv3D(1, (2, 2, 2), activation="relu"),
    ]
    return keras.Sequential(stack)


def keras_angle_discriminator() -> Any:
    layers = keras.layers
    image = keras.Input((51, 51, 25, 1))
    x = layers.Conv3D(16, (5, 6, 6), padding="same")(image)
    x = layers.Dropout(0.2)(layers.LeakyReLU()(x))
    for padding in (1, 1, 0):
        x = layers.Conv3D(8, (5, 6, 6))(layers.ZeroPadding3D((0, 0, padding))(x))
        x = layers.Dropout(0.2)(layers.BatchNormalization()(layers.LeakyReLU()(x)))
    flat = layers.Flatten()(layers.AveragePooling3D(2)(x))
    heads = [layers.Dense(1, activation="sigmoid")(flat), layers.Dense(1)(flat)]
    return keras.Model(image, heads)


def copy_weights(source: Any, target: torch.nn.Module) -> None:
    """Keras layers with weights, in order, to torch layers with weights, in order."""
    ours = [
        layer
        for layer in target.modules()
        if isinstance(layer, torch.nn.Linear | torch.nn.Conv3d | torch.nn.BatchNorm3d)
    ]
    if isinstance(target, Generator):
        ours = [layer for layer in ours if layer is not target.last] + [target.last]
        ours = [target.dense] + [layer for layer in ours if layer is not target.dense]
    theirs = [layer for layer in source.layers if layer.get_weights() and "drop" not in layer.name]
    assert len(ours) == len(theirs)
    with torch.no_grad():
        for keras_layer, layer in zip(theirs, ours, strict=True):
            values = [torch.from_numpy(np.asarray(v)).float() for v in keras_layer.get_weights()]
            if isinstance(layer, torch.nn.BatchNorm3d):
                assert layer.running_mean is not None
                assert layer.running_var is not None
                places = (layer.weight, layer.bias, layer.running_mean, layer.running_var)
                for place, value in zip(places, values, strict=True):
                    place.copy_(value)
                continue
            convolution = isinstance(layer, torch.nn.Conv3d)
            layer.weight.copy_(values[0].permute(4, 3, 0, 1, 2) if convolution else values[0].T)
            if len(values) == 2:
                assert layer.bias is not None
                layer.bias.copy_(values[1])


def test_generator_is_the_published_one() -> None:
    reference = keras_generator()
    assert trainable(reference) == 872_808
    randomise(reference, 1)
    ours = Generator().eval()
    copy_weights(reference, ours)
    latent = np.random.default_rng(2).normal(size=(2, 200)).astype(np.float32)
    assert_same_images(reference, ours, latent)


def test_discriminator_is_the_published_one() -> None:
    reference = keras_discriminator()
    assert trainable(reference) == 73_402
    randomise(reference, 3)
    ours = Discriminator().eval()
    copy_weights(reference, ours)
    image = np.random.default_rng(4).exponential(size=(2, 25, 25, 25)).astype(np.float32)
    real, energy = (np.asarray(v.detach())[:, 0] for v in reference(image[..., None]))
    with torch.no_grad():
        logit, ours_energy, total = ours(torch.from_numpy(image)[:, None])
    assert torch.sigmoid(logit).numpy() == pytest.approx(real, rel=1e-4)
    assert ours_energy.numpy() == pytest.approx(energy, rel=1e-4, abs=1e-5)
    assert total.numpy() == pytest.approx(image.sum(axis=(1, 2, 3)), rel=1e-5)


def test_the_generator_at_an_angle_is_the_published_one() -> None:
    reference = keras_angle_generator()
    assert trainable(reference) == 1_364_983
    randomise(reference, 15)  # one of the seeds with which no layer is dead
    ours = AngleGenerator().eval()
    copy_weights(reference, ours)
    latent = np.random.default_rng(6).normal(size=(2, 256)).astype(np.float32)
    assert_same_images(reference, ours, latent)


def test_the_discriminator_at_an_angle_is_the_published_one() -> None:
    reference = keras_angle_discriminator()
    assert trainable(reference) == 87_354
    randomise(reference, 7)
    ours = AngleDiscriminator(MeasuredAngle(load_detector("lcd-ecal")), 0.85).eval()
    copy_weights(reference, ours)
    image = np.random.default_rng(8).exponential(size=(2, 51, 51, 25)).astype(np.float32)
    real, energy = (np.asarray(v.detach())[:, 0] for v in reference(image[..., None]))
    with torch.no_grad():
        logit, ours_energy, *_ = ours(torch.from_numpy(image)[:, None])
    assert torch.sigmoid(logit).numpy() == pytest.approx(real, rel=1e-4)
    assert ours_energy.numpy() == pytest.approx(energy, rel=1e-4, abs=1e-5)


def test_one_keras_training_step_moves_our_weights_alike() -> None:
    """RMSprop with Keras' defaults, through its own optimizer."""
    weight = torch.nn.Parameter(torch.tensor([1.0, -2.0, 3.0]))
    from caloforge.models.keras import rmsprop

    variable = keras.Variable(np.array([1.0, -2.0, 3.0], np.float32))
    theirs = keras.optimizers.RMSprop()
    ours = rmsprop([weight])
    rng = np.random.default_rng(0)
    for _ in range(5):
        gradient = rng.normal(size=3).astype(np.float32)
        theirs.apply([keras.ops.convert_to_tensor(gradient)], [variable])
        weight.grad = torch.from_numpy(gradient)
        ours.step()
    assert weight.detach().numpy() == pytest.approx(variable.numpy(), rel=1e-4)


def test_percentage_error_is_that_of_keras() -> None:
    from caloforge.models.keras import mean_absolute_percentage_error

    rng = np.random.default_rng(1)
    target, predicted = rng.uniform(0.1, 5, 50), rng.uniform(0.1, 5, 50)
    expected = float(keras.losses.MeanAbsolutePercentageError()(target, predicted))
    found = mean_absolute_percentage_error(torch.from_numpy(target), torch.from_numpy(predicted))
    assert float(found) == pytest.approx(expected, rel=1e-5)
