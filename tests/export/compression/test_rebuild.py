"""Ensembles of all kinds, rebuilt of `tf_keras` layers, answer as the originals."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import layers

from bridge_tf import BridgeEnsemble, build_bridge
from bridge_tf.export.compression.plan import leaves, read_weights, write_plan
from tests.conftest import REPOSITORY
from tests.extras import needs_compression

pytestmark = needs_compression


class Doubled(layers.Layer):
    """A layer of the user's own."""

    def call(self, inputs):
        return 2 * inputs


def of_resnets(build, norm):
    bases = [build(norm) for _ in range(2)]
    bridges = [build_bridge(bases[0], "stage2_block1", width) for width in (0.5, 1)]
    return BridgeEnsemble(bases[0], bridges)


def of_type_2(build, residual=False):
    bases = [build("batch") for _ in range(2)]
    taps = ["stage1_block1", "stage2_block1"]
    bridge = build_bridge(bases[0], taps, 0.5, bridge_type=2, residual=residual)
    return BridgeEnsemble(bases[0], [bridge], bases[1:])


def conditioned(build, residual=False):
    base = build("frn", "resnet8")
    options = {"conditioned": True, "shared_until": "stage3_block1_add", "residual": residual}
    bridge = build_bridge(base, "stage2_block1", 0.5, **options)
    for variable in bridge.trainable_variables:  # what modulates begins at 0
        variable.assign_add(np.random.default_rng(1).normal(0, 0.1, variable.shape))
    return BridgeEnsemble(base, [bridge], positions=[0.25, 0.75])


def of_other_layers(build):
    """Depthwise and separable convolutions, operations, a graph within the graph, moments."""
    x = image = keras.Input((8, 8, 1))
    moments = layers.Normalization()
    moments.adapt(np.random.default_rng(0).normal(100, 30, (32, 8, 8, 1)))
    x = layers.ZeroPadding2D(1)(moments(x))
    x = layers.Conv2D(8, 3, activation="silu")(x)
    x = x + layers.SeparableConv2D(8, 3, padding="same", activation="relu")(x)
    x = layers.Activation("gelu", name="tap")(x)
    inner = keras.Sequential(
        [keras.Input(x.shape[1:]), layers.DepthwiseConv2D(3), layers.LeakyReLU(0.1)], name="inner"
    )
    pools = layers.MaxPooling2D(), layers.AveragePooling2D(2)
    x = layers.Concatenate()([pool(inner(x)) for pool in pools])
    x = layers.LayerNormalization()(layers.Flatten()(x))
    x = layers.Dropout(0.3)(layers.Dense(16, activation="tanh")(x))
    base = keras.Model(image, layers.Dense(5)(x))
    return BridgeEnsemble(base, [build_bridge(base, "tap", 0.5)])


def of_own_layers(build):
    x = image = keras.Input((8, 8, 1))
    x = Doubled(name="mine")(layers.Conv2D(4, 3, name="tap")(x))
    base = keras.Model(image, layers.Dense(5)(layers.Flatten()(x)))
    return BridgeEnsemble(base, [])


ENSEMBLES = {
    "frn": lambda build: of_resnets(build, "frn"),
    "batch": lambda build: of_resnets(build, "batch"),
    "type_2": of_type_2,
    "conditioned": conditioned,
    "residual_type_2": lambda build: of_type_2(build, residual=True),
    "residual_conditioned": lambda build: conditioned(build, residual=True),
    "other_layers": of_other_layers,
    "own_layers": of_own_layers,
}


@pytest.fixture
def differences(build, tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1)).astype("uint8")
    for name, make in ENSEMBLES.items():
        ensemble = make(build)
        (tmp_path / name).mkdir()
        targets = np.zeros((6, len(ensemble.bridges) + 1, 5))
        write_plan(ensemble, tmp_path / name, images, targets, {})
    program = [sys.executable, "-m", "tests.export.compression.rebuilding", *ENSEMBLES]
    environment = {
        **os.environ,
        "PYTHONPATH": str(REPOSITORY),
    }
    found = subprocess.run(
        program, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout.splitlines()[-1])


@pytest.mark.integration
def test_rebuilt_ensembles_answer_as_the_originals_and_layers_are_what_the_table_says(differences):
    assert differences.pop("denied") == []
    own = differences.pop("own_layers")
    assert "mine is of the class Doubled, for which tf_keras has no layer" in own
    assert {name: d for name, d in differences.items() if not isinstance(d, float)} == {}
    assert max(differences.values()) <= 1e-5


@pytest.mark.integration
def test_weights_that_come_back_are_the_ensembles(build, tmp_path):
    ensemble = of_resnets(build, "batch")
    stored = {
        f"{path}:{k}": value + 0.25
        for path, layer in leaves(ensemble.members())
        for k, value in enumerate(layer.get_weights())
    }
    before = [value.numpy() for value in ensemble.variables]
    np.savez(tmp_path / "weights.npz", **stored)
    read_weights(ensemble, tmp_path / "weights.npz")
    for value, was in zip(ensemble.variables, before, strict=True):
        np.testing.assert_allclose(value.numpy(), was + 0.25, rtol=1e-6)
