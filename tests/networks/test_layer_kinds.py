"""The table of kinds of layers against the layers themselves."""

import inspect

import keras
import numpy as np
import pytest
from keras import layers, ops
from keras.src.applications.convnext import LayerScale, StochasticDepth
from keras.src.applications.inception_resnet_v2 import CustomScaleLayer

from bridge_tf import Curve, FilterResponseNormalization
from bridge_tf.bridges.rescale import is_norm
from bridge_tf.curves.alignment.spaces import find_structure
from bridge_tf.curves.batch_norm import batch_norms
from bridge_tf.networks import layer_kinds
from bridge_tf.networks.layer_kinds import (
    AVERAGES,
    COMPARED,
    LAYERS,
    OPERATIONS,
    OUT,
    UNKNOWN,
    LayerKind,
    kind_of,
    per_channel,
    register,
)

# Without a row, so that their neurons stay in place: what mixes channels, what wraps other layers,
# what takes text, categories or sound, and what augments images.
UNKNOWN_LAYERS = """
    AdditiveAttention Attention GroupedQueryAttention MultiHeadAttention EinsumDense Dot Permute
    ReversibleEmbedding GRU GRUCell LSTM LSTMCell RNN SimpleRNN SimpleRNNCell StackedRNNCells
    ConvLSTM1D ConvLSTM2D ConvLSTM3D Bidirectional TimeDistributed SpectralNormalization Wrapper
    Layer InputLayer Lambda Masking Normalization FlaxLayer JaxLayer TFSMLayer TorchModuleWrapper
    CategoryEncoding Discretization HashedCrossing Hashing IntegerLookup StringLookup
    TextVectorization MelSpectrogram STFTSpectrogram MaxNumBoundingBoxes Pipeline
    AugMix AutoContrast CenterCrop ContrastLimitedAdaptiveHistogramEqualization CutMix Equalization
    MixUp RandAugment Solarization RandomBrightness RandomColorDegeneration RandomColorJitter
    RandomContrast RandomCrop RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur
    RandomGrayscale RandomHue RandomInvert RandomPerspective RandomPosterization RandomRotation
    RandomSaturation RandomSharpness RandomShear RandomTranslation RandomZoom
""".split()
ELSEWHERE = {
    layer.__name__: layer
    for layer in (FilterResponseNormalization, LayerScale, StochasticDepth, CustomScaleLayer)
}
# Settings that a layer can't be made without. Channels that go in are 6, those made 5.
SETTINGS = {
    "filters": 5,
    "units": 5,
    "kernel_size": 2,
    "pool_size": 2,
    "output_size": 2,
    "input_dim": 9,
    "output_dim": 5,
    "projection_dim": 6,
    "init_values": 0.1,
    "rate": 0.5,
    "drop_path_rate": 0.5,
    "stddev": 0.5,
    "groups": 1,
    "target_shape": (-1, 6),
    "height": 3,
    "width": 3,
    "n": 2,
    "scale": 0.5,
}
OPTIONS = {"Activation": {"activation": "tanh"}}
OPTIONS |= {name: {"scale": True} for name in ("BatchNormalization", "LayerNormalization")}
OPTIONS |= {"GroupNormalization": {"scale": True, "groups": 1}}
OPERATION_OPTIONS = {
    "Cast": {"dtype": "float16"},
    "Clip": {"x_min": 0.5, "x_max": 0.9},
    "Concatenate": {"axis": -1},
    "Reshape": {"newshape": (3, 2, 12)},
}
OPERATION_OPTIONS |= {name: {"axis": 1} for name, kind in OPERATIONS.items() if kind.over_axes}


def class_of(name):
    return ELSEWHERE.get(name) or getattr(layers, name)


def inputs_for(name):
    """Images, sequences or vectors of 6 channels, or several of them, as the layer takes it."""
    rank = next((int(digit) for digit in "123" if f"{digit}D" in name), 2)
    shape = (3, 6) if name in ("RepeatVector", "Embedding") else (3, *[4] * rank, 6)
    generator = np.random.default_rng(0)
    if name == "Embedding":
        return generator.integers(0, 9, shape)
    x, y = generator.uniform(0.1, 1, (2, *shape)).astype("float32")
    return [x, y] if LAYERS[name].channels in ("joined", "concatenated") else x


def built(name):
    """The layer of a row, all its weights different."""
    layer_class = class_of(name)
    takes = inspect.signature(layer_class.__init__).parameters
    options = {key: value for key, value in SETTINGS.items() if key in takes}
    layer = layer_class(**options | OPTIONS.get(name, {}))
    layer(inputs_for(name))
    generator = np.random.default_rng(1)
    for variable in floats(layer):
        variable.assign(generator.uniform(0.5, 1.5, variable.shape))
    return layer


def floats(layer):
    return [variable for variable in layer.variables if variable.dtype == "float32"]


def weights_of(layer, kind):
    """The layer's variables by the names that the row has for them."""
    return {name: getattr(layer, name) for name in kind.weights}


# Layers that came after the lowest version of Keras.
LATER = {f"Adaptive{kind}Pooling{n}D" for kind in ("Average", "Max") for n in (1, 2, 3)}
LATER |= {"ContrastLimitedAdaptiveHistogramEqualization", "ReversibleEmbedding"}
ABSENT = {name for name in LATER if not hasattr(layers, name)}


def those(condition):
    names = [k for k, kind in LAYERS.items() if condition(kind) and k not in ABSENT]
    return pytest.mark.parametrize("name", names)


def test_every_layer_of_keras_has_one_row_or_is_known_to_have_none():
    names = [name for row in layer_kinds._LAYERS for name in row.split()]
    assert len(names) == len(set(names))
    classes = [item for item in vars(layers).values() if inspect.isclass(item)]
    found = {item.__name__ for item in classes if issubclass(item, layers.Layer)}
    assert {*names, *UNKNOWN_LAYERS} - ABSENT == found | {*ELSEWHERE}
    assert not {*names} & {*UNKNOWN_LAYERS}
    assert all(kind_of(built(name)) is LAYERS[name] for name in {*names} - ABSENT)


@those(lambda kind: kind.weights)
def test_weights_have_the_channels_on_the_axes_that_the_row_says(name):
    layer, kind = built(name), LAYERS[name]
    weights = weights_of(layer, kind)
    assert {id(v) for v in weights.values()} == {id(v) for v in floats(layer)}
    for attribute, roles in kind.weights.items():
        shape = weights[attribute].shape
        assert {axis: shape[axis] for axis in roles} == {
            axis: 5 if role == OUT else 6 for axis, role in roles.items()
        }
        beside = [size for axis, size in enumerate(shape) if axis - len(shape) not in roles]
        assert not {5, 6} & set(beside)


@those(lambda kind: kind.channels in ("kept", "new", "joined"))
def test_permuted_channels_come_out_permuted(name):
    layer, kind = built(name), LAYERS[name]
    generator = np.random.default_rng(2)
    into, out = generator.permutation(6), generator.permutation(5)
    inputs = inputs_for(name)
    expected = np.asarray(layer(inputs))
    assert expected.shape[-1] == (5 if kind.channels == "new" else 6)
    for attribute, variable in weights_of(layer, kind).items():
        for axis, role in kind.weights[attribute].items():
            variable.assign(np.take(variable, out if role == OUT else into, axis))
    permuted = keras.tree.map_structure(lambda x: x[..., into], inputs)
    found = layer(inputs if name == "Embedding" else permuted)
    expected = expected[..., out if kind.channels == "new" else into]
    # Rounding: the terms of sums come in another order.
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@those(lambda kind: kind.channels == "new")
def test_a_setting_of_the_row_chooses_the_new_channels(name):
    config = built(name).get_config()
    (size,) = config.keys() & set(LAYERS[name].sizes)
    wider = class_of(name).from_config(config | {size: 10})
    assert wider(inputs_for(name)).shape[-1] == 2 * config[size] == 10


@those(lambda kind: kind.input_size)
def test_a_setting_of_the_row_holds_the_channels_that_go_in(name):
    assert built(name).get_config()[LAYERS[name].input_size] == 6


@those(lambda kind: kind.same_numbers or kind.channels in ("concatenated", "reshaped"))
def test_numbers_stay_as_they_are(name):
    inputs = inputs_for(name)
    found = np.asarray(built(name)(inputs, training=False))
    if LAYERS[name].channels == "concatenated":
        found, inputs = np.split(found, 2, axis=-1), np.stack(inputs)
    np.testing.assert_array_equal(np.ravel(found), np.ravel(inputs))


@those(lambda kind: kind.normalizes)
def test_norms_undo_the_scale_of_each_image_or_of_the_batch(name):
    layer, kind, images = built(name), LAYERS[name], 100 * inputs_for(name)
    assert is_norm(layer) and batch_norms(layer) == [layer] * (kind.normalizes == "batch")
    state = {variable.name for variable in layer.non_trainable_variables}
    assert state == set(AVERAGES if kind.normalizes == "batch" else ())
    expected = np.asarray(layer(images, training=True))
    np.testing.assert_allclose(layer(8 * images, training=True), expected, atol=1e-4)
    alone = np.asarray(layer(np.concatenate([images[:1], 8 * images[1:]]), training=True))
    changed = np.abs(alone[0] - expected[0]).max()
    assert changed > 0.1 if kind.normalizes == "batch" else changed < 1e-4


@those(lambda kind: kind.scalars or kind.tf_keras_names)
def test_settings_of_the_row_are_settings_of_the_layer(name):
    config, kind = built(name).get_config(), LAYERS[name]
    assert config.keys() >= {*kind.scalars, *kind.tf_keras_names}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_do_to_channels_what_their_row_says(name):
    kind = OPERATIONS[name]
    call = {key.replace("_", ""): value for key, value in vars(ops).items()}[name.lower()]
    options = OPERATION_OPTIONS.get(name, {})
    x, y = np.random.default_rng(0).uniform(0.1, 1, (2, 3, 4, 6)).astype("float32")
    x = x[:, :1] if name == "Squeeze" else x

    def computed(x, y):
        if kind.channels == "concatenated":
            return call([x, y], **options)
        return call(*(x, y)[: 2 if kind.channels == "joined" else 1], **options)

    output = computed(*(keras.KerasTensor(value.shape) for value in (x, y)))
    assert kind_of(output._keras_history.operation) is kind
    found = np.asarray(computed(x, y))
    if kind.channels == "concatenated":
        found, x = np.concatenate(np.split(found, 2, axis=-1)), np.concatenate([x, y])
    if kind.same_numbers or kind.channels in ("concatenated", "reshaped"):
        np.testing.assert_array_equal(np.ravel(found), np.ravel(x).astype(found.dtype))
    if kind.channels in ("kept", "joined"):
        into = np.random.default_rng(2).permutation(6)
        permuted = computed(x[..., into], y[..., into])
        np.testing.assert_allclose(permuted, found[..., into], rtol=1e-6)


class Twin(layers.Conv2D):
    """Might compute anything."""


@keras.saving.register_keras_serializable(package="tests")
class Centred(layers.Layer):
    """A normalization of the user's own."""

    def __init__(self, power=1.0, **kwargs):
        super().__init__(**kwargs)
        self.power = power

    def build(self, shape):
        self.shift = self.add_weight(shape=shape[-1:], name="shift")

    def call(self, x):
        return x - ops.mean(x, axis=(1, 2), keepdims=True) ** self.power + self.shift

    def get_config(self):
        return {**super().get_config(), "power": self.power}


def test_a_derived_class_is_unknown_unless_it_is_asked_for():
    layer = Twin(5, 3)
    assert kind_of(layer) is UNKNOWN is kind_of(Centred())
    assert kind_of(layer, derived=True) is LAYERS["Conv2D"]
    assert kind_of(keras.Sequential(), derived=True) is UNKNOWN


def test_a_layer_of_ones_own_is_followed_once_it_is_registered(monkeypatch):
    monkeypatch.setattr(layer_kinds, "_registered", {})

    def network(**options):
        image = keras.Input((8, 8, 1))
        x = Centred(name="mine", **options)(layers.Conv2D(6, 3)(image))
        return keras.Model(image, layers.Dense(4)(layers.GlobalAveragePooling2D()(x)))

    start, end = network(), network(power=3.0)
    assert find_structure(start).sizes == () and not is_norm(start.get_layer("mine"))
    Curve.between(start, end)
    compared = COMPARED | {"power"}
    kind = LayerKind("kept", per_channel("shift"), normalizes="image", compared=compared)
    register(Centred, kind)
    assert find_structure(start).sizes == (6,) and is_norm(start.get_layer("mine"))
    with pytest.raises(ValueError, match=r"power of the layer mine is 1\.0 in the one and 3"):
        Curve.between(start, end)
