"""Networks as people have them: frozen, subclassed, of open sizes, of mixed precision."""

import keras
import numpy as np
import pytest

from bridge_tf import BridgeEnsemble, Curve, InputError, build_bridge, choose_bridge, export
from bridge_tf.networks.classifier import as_classifier, gives_probabilities, logits_copy
from bridge_tf.utils.graph import with_input_shape

L = keras.layers


def network(end="logits", frozen=(), shape=(8, 8, 1), **options):
    image = keras.Input(shape, name="image")
    x = L.Conv2D(4, 3, padding="same", name="tap", **options)(image)
    x = L.BatchNormalization(name="norm")(x)
    x = L.Conv2D(6, 3, padding="same", name="conv")(x)
    x = L.Dense(5, name="logits")(L.GlobalAveragePooling2D()(x))
    x = {
        "logits": lambda x: x,
        "softmax": lambda x: L.Softmax()(x),
        "operation": lambda x: keras.ops.softmax(x),
        "function": lambda x: L.Activation(keras.ops.softmax)(x),
        "reshaped": lambda x: L.Reshape((5,))(L.Softmax()(x)),
        "identity": lambda x: L.Identity()(L.Activation("softmax")(x)),
    }[end](x)
    model = keras.Model(image, x)
    for name in frozen:
        model.get_layer(name).trainable = False
    return model


@keras.saving.register_keras_serializable(package="tests")
class Net(keras.Model):
    """A Functional model in a class of its own, as libraries of models build them."""

    def __init__(self, units=5, end="softmax", **kwargs):
        image = keras.Input((8, 8, 1), name="image")
        x = L.Conv2D(4, 3, padding="same", name="tap")(image)
        x = L.GlobalAveragePooling2D()(L.Conv2D(6, 3, name="conv")(x))
        super().__init__(image, L.Dense(units, activation=end, name="classes")(x), **kwargs)
        self.units, self.end = units, end

    def get_config(self):
        return {"units": self.units, "end": self.end, "name": self.name}


def nested():
    image = keras.Input((8, 8, 1), name="image")
    return keras.Model(image, Net(name="net")(L.Conv2D(1, 3, padding="same", name="tap")(image)))


IMAGES = np.random.default_rng(0).uniform(0, 1, (6, 8, 8, 1)).astype("float32")


@pytest.mark.parametrize(
    "build",
    [lambda end=end: network(end) for end in ("softmax", "operation", "function", "reshaped")]
    + [lambda: network("identity"), Net, nested],
)
def test_a_softmax_is_taken_off_once_wherever_it_is(build):
    model = build()
    assert gives_probabilities(model)
    logits = logits_copy(model)
    expected = model.predict(IMAGES, verbose=0)
    np.testing.assert_allclose(expected.sum(axis=1), 1, atol=1e-5)
    found = keras.ops.softmax(logits.predict(IMAGES, verbose=0))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert not gives_probabilities(logits)
    outputs = BridgeEnsemble(model, [build_bridge(model, "tap", 0.5)]).predict(IMAGES, verbose=0)
    first = np.exp(outputs["log_probabilities"][:, 0])
    np.testing.assert_allclose(first, expected, atol=1e-5)


def test_a_subclass_of_functional_has_curve_and_ensemble(tmp_path):
    start, end = Net(), Net()
    curve = Curve.between(start, end)
    np.testing.assert_allclose(curve(IMAGES, r=1.0), end(IMAGES), atol=1e-6)
    ensemble = BridgeEnsemble(start, [build_bridge(start, "tap", 0.5)])
    ensemble.save(tmp_path / "ensemble.keras")
    loaded = keras.models.load_model(tmp_path / "ensemble.keras", safe_mode=True)
    found, expected = (m.predict(IMAGES, verbose=0) for m in (loaded, ensemble))
    np.testing.assert_array_equal(found["probabilities"], expected["probabilities"])


@pytest.mark.parametrize("width", [0.5, 1.0])
def test_bodies_of_a_frozen_base_are_trained(width):
    base = network(frozen=("tap", "norm", "conv", "logits"))
    bridge = build_bridge(base, "tap", width)
    moving = [v for v in bridge.variables if "moving" in v.path]
    assert len(bridge.trainable_variables) == len(bridge.variables) - len(moving)
    with pytest.raises(ValueError, match="all of the network's are frozen"):
        Curve.between(base, base)


@pytest.mark.parametrize("bridge_type", [1, 2])
@pytest.mark.parametrize("taps", [["tap"], ["tap", "norm"]])
def test_several_conditioned_bridges_in_one_ensemble(bridge_type, taps, tmp_path):
    modes = [network() for _ in range(3)]
    options = {"conditioned": True, "bridge_type": bridge_type}
    if taps == ["tap"]:
        options["shared_until"] = "conv"
    bridges = [build_bridge(modes[0], taps, 0.5, **options) for _ in range(2)]
    for k, bridge in enumerate(bridges):
        for variable in bridge.trainable_variables:
            variable.assign_add(np.random.default_rng(k).normal(0, 0.5, variable.shape))
    others = modes[1:] if bridge_type == 2 else []
    ensemble = BridgeEnsemble(modes[0], bridges, others, positions=[0.25, 0.75])
    ensemble.save(tmp_path / "ensemble.keras")
    loaded = keras.models.load_model(tmp_path / "ensemble.keras", safe_mode=True)
    found, again = (m.predict(IMAGES, verbose=0)["log_probabilities"] for m in (ensemble, loaded))
    np.testing.assert_array_equal(found, again)
    assert found.shape == (6, 1 + len(others) + 4, 5)
    # Members come bridge by bridge, each at its positions in order.
    for k, bridge in enumerate(bridges):
        pair = [modes[0], modes[k + 1]][:bridge_type]
        features = [
            keras.Model(mode.input, mode.get_layer(tap).output)(IMAGES)
            for mode in pair
            for tap in taps
        ]
        for n, r in enumerate((0.25, 0.75)):
            logits = bridge([*features, keras.ops.full((6, 1), r)])
            member = found[:, 1 + len(others) + 2 * k + n]
            np.testing.assert_allclose(member, keras.ops.log_softmax(logits), atol=1e-4)


@pytest.mark.integration
def test_a_mixed_precision_ensemble_is_exported_in_float32(tmp_path):
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        base = network()
        ensemble = BridgeEnsemble(base, [build_bridge(base, "tap", 0.5)])
        artifacts = export(ensemble, tmp_path, "mixed", IMAGES)
    finally:
        keras.config.set_dtype_policy(policy)
    assert artifacts.max_difference < 1e-5


def test_open_sizes_are_closed():
    model = network(shape=(None, None, 1))
    closed = with_input_shape(model, (8, 8, 1))
    assert closed.input_shape == (None, 8, 8, 1)
    np.testing.assert_array_equal(closed(IMAGES), model(IMAGES))
    assert choose_bridge(closed, 0.9).relative_flops <= 0.9
    assert with_input_shape(closed, (4, 4, 1)) is closed


def test_warm_start_finds_layers_in_their_place():
    base, member = network(), network()
    image = keras.Input((8, 8, 1))
    x = L.Conv2D(4, 3, padding="same")(image)  # other names than the base's
    x = L.Conv2D(6, 3, padding="same")(L.BatchNormalization()(x))
    unnamed = keras.Model(image, L.Dense(5)(L.GlobalAveragePooling2D()(x)))
    unnamed.set_weights(member.get_weights())
    for other in (member, unnamed):
        bridge = build_bridge(base, "tap", 1.0, warm_start=other)
        np.testing.assert_array_equal(
            bridge.get_layer("conv").get_weights()[0], member.get_layer("conv").get_weights()[0]
        )


def one(activation, units=1):
    x = keras.Input((4,))
    return keras.Model(x, L.Dense(units, activation=activation)(L.Dense(3, name="tap")(x)))


def two_outputs():
    x = keras.Input((4,))
    y = L.Dense(3, name="tap")(x)
    return keras.Model(x, [L.Dense(2)(y), L.Dense(2)(y)])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: one("softmax"), "softmax of one unit, which is always 1"),
        (lambda: one("sigmoid", 3), "ends in a sigmoid"),
        (two_outputs, "a classifier of one output"),
        (lambda: network(data_format="channels_first"), "'tap' of .* channels first"),
    ],
)
def test_what_is_no_classifier_of_channels_last_is_refused(build, message):
    model = build()
    for use in (as_classifier, lambda m: build_bridge(m, "tap"), lambda m: BridgeEnsemble(m, [])):
        with pytest.raises(InputError, match=message):
            use(model)


@pytest.mark.parametrize("name", ["start.conv", "curve.r"])
def test_names_of_inputs_of_bridges_are_reserved(name):
    x = keras.Input((4,))
    model = keras.Model(x, L.Dense(3)(L.Dense(3, name=name)(x)))
    with pytest.raises(InputError, match="can't be tapped"):
        build_bridge(model, name)


def test_taps_of_sizes_that_do_not_divide_are_brought_to_the_last():
    image = keras.Input((17, 17, 1))
    x = L.Conv2D(4, 3, padding="same", name="wide")(image)
    x = L.MaxPooling2D(3, 2, name="narrow")(x)
    base = keras.Model(image, L.Dense(5)(L.GlobalAveragePooling2D()(L.Conv2D(4, 3)(x))))
    bridge = build_bridge(base, ["wide", "narrow"])
    assert bridge.get_layer("taps").output.shape == (None, 8, 8, 8)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"strides": 2}, "strides of the layer tap"),
        ({"dilation_rate": 2}, "dilation_rate of the layer tap"),
        ({"padding": "valid"}, "padding of the layer tap"),
    ],
)
def test_ends_whose_layers_compute_something_else_are_refused(other, message):
    image = keras.Input((8, 8, 1))

    def build(**options):
        x = L.Conv2D(4, 3, name="tap", **({"padding": "same"} | options))(image)
        return keras.Model(image, L.Dense(5)(L.GlobalAveragePooling2D()(x)))

    with pytest.raises(ValueError, match=message):
        Curve.between(build(), build(**other))


def test_ends_that_are_connected_in_other_ways_are_refused():
    def build(swap):
        x = keras.Input((4,))
        a, b = L.Dense(4)(x), L.Dense(4)(x)
        c = L.Dense(4)(a)
        return keras.Model(x, L.Dense(3)(L.Subtract()([b, c] if swap else [c, b])))

    with pytest.raises(ValueError, match=r"connected in different ways|in the one and"):
        Curve.between(build(False), build(True))
    layers = [L.Dense(3, activation="relu"), L.Dense(3)]
    for layer in layers:
        layer.build((None, 4))
    with pytest.raises(ValueError, match=r"Dense \(relu\) in the one"):
        Curve.between(*layers)
