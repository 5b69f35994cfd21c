import keras
import numpy as np
import pytest

from bridge_tf import BridgeEnsemble, InputError, build_bridge
from bridge_tf.networks.classifier import gives_probabilities
from bridge_tf.utils.graph import as_functional, check_taps, counterparts, cuts

L = keras.layers


def with_skips(offset=0.0):
    image = keras.Input((8, 8, 1), name="image")
    x = L.Conv2D(4, 3, padding="same", name="stem")(image)
    y = L.Conv2D(4, 3, padding="same", name="inside")(x)
    x = x + y
    x = L.ReLU(name="block")(x + offset)
    x = L.GlobalAveragePooling2D(name="pool")(x)
    x = L.Dense(5, name="logits")(x)
    return keras.Model(image, L.Softmax(name="softmax")(x), name="skips")


def test_cuts_are_what_every_path_passes_and_has_weights_behind():
    names = cuts(with_skips())
    assert names[0] == "stem" and names[-2:] == ["block", "pool"]
    assert len(names) == 5  # the two additions, operations without a name of their own
    assert all(name.startswith("add") for name in names[1:3])


def test_an_operation_can_be_a_tap(tmp_path):
    base = with_skips()
    addition = cuts(base)[1]
    bridge = build_bridge(base, addition, 0.5)
    assert bridge.input_shape == (None, 8, 8, 4)
    ensemble = BridgeEnsemble(base, [bridge])
    ensemble.save(tmp_path / "ensemble.keras")
    loaded = keras.models.load_model(tmp_path / "ensemble.keras", safe_mode=True)
    images = np.random.default_rng(0).uniform(0, 1, (3, 8, 8, 1))
    found, expected = (m.predict(images, verbose=0) for m in (loaded, ensemble))
    np.testing.assert_array_equal(found["log_probabilities"], expected["log_probabilities"])


@pytest.mark.parametrize(
    ("tap", "why"),
    [
        ("image", "it is an input"),
        ("inside", "a connection goes around it; nearest cuts: 'stem'"),
        ("softmax", "it is the output"),
        ("logits", "no weights lie behind it; nearest cuts: 'pool'"),
    ],
)
def test_what_is_no_cut_is_refused_with_the_reason(tap, why):
    with pytest.raises(InputError, match=f"can't be cut at '{tap}', since {why}"):
        check_taps(with_skips(), [tap])


def test_layers_without_one_output_are_refused():
    image = keras.Input((4,), name="image")
    twice = L.Dense(4, name="twice")
    x = L.Dense(3, name="logits")(twice(twice(image)))
    with pytest.raises(InputError, match=r"'twice'.*called more than once"):
        check_taps(keras.Model(image, x), ["twice"])
    steps = keras.Input((3, 2))
    x, *_ = L.LSTM(4, return_state=True, name="lstm")(steps)
    model = keras.Model(steps, L.Dense(3)(x))
    with pytest.raises(InputError, match=r"'lstm'.*several outputs"):
        check_taps(model, ["lstm"])
    assert cuts(model) == []


def test_a_sequential_model_is_a_chain():
    model = keras.Sequential(
        [
            keras.Input((4,)),
            L.Dense(8, name="a"),
            L.Dense(8, name="b"),
            L.Dense(3, activation="softmax"),
        ]
    )
    assert cuts(as_functional(model)) == ["a", "b"]
    ensemble = BridgeEnsemble(model, [build_bridge(model, "a", 0.5)])
    x = np.random.default_rng(0).normal(size=(6, 4)).astype("float32")
    outputs = ensemble.predict(x, verbose=0)
    np.testing.assert_allclose(np.exp(outputs["log_probabilities"][:, 0]), model(x), atol=1e-6)


def test_a_model_without_a_graph_is_refused():
    class Hidden(keras.Model):
        pass

    with pytest.raises(InputError, match="Hidden; a bridge needs a Functional"):
        build_bridge(Hidden(name="mine"), "a")
    with pytest.raises(InputError, match="needs a Functional or a built Sequential"):
        build_bridge(keras.Sequential([L.Dense(3)]), "a")


def test_counterparts_are_found_by_place():
    first, second = with_skips(), with_skips()
    taps = cuts(first)
    others = counterparts(first, second, taps)
    assert others == cuts(second) and others != taps
    with pytest.raises(InputError, match="one architecture"):
        counterparts(first, as_functional(keras.Sequential([keras.Input((4,)), L.Dense(3)])), [])


def test_type_2_reads_modes_whose_layers_have_other_names():
    start, end = with_skips(), with_skips()
    tap = cuts(start)[1]
    bridge = build_bridge(start, tap, bridge_type=2)
    ensemble = BridgeEnsemble(start, [bridge], [end])
    images = np.random.default_rng(0).uniform(0, 1, (3, 8, 8, 1)).astype("float32")
    outputs = ensemble.predict(images, verbose=0)["log_probabilities"]
    assert outputs.shape == (3, 3, 5)
    features = [
        keras.Model(mode.input, next(o for o in mode.operations if o.name == name).output)(images)
        for mode, name in ((start, tap), (end, counterparts(start, end, [tap])[0]))
    ]
    expected = keras.ops.log_softmax(bridge(features))
    np.testing.assert_allclose(outputs[:, 2], expected, atol=1e-5)


def test_several_inputs(tmp_path):
    image = keras.Input((8, 8, 1), name="picture")
    extra = keras.Input((3,), name="numbers")
    x = L.GlobalAveragePooling2D()(L.Conv2D(4, 3)(image))
    x = L.Dense(8, activation="relu", name="joined")(L.Concatenate()([x, extra]))
    base = keras.Model({"picture": image, "numbers": extra}, L.Dense(5)(x))
    ensemble = BridgeEnsemble(base, [build_bridge(base, "joined")])
    generator = np.random.default_rng(0)
    inputs = {
        "picture": generator.normal(size=(4, 8, 8, 1)).astype("float32"),
        "numbers": generator.normal(size=(4, 3)).astype("float32"),
    }
    outputs = ensemble.predict(inputs, verbose=0)["log_probabilities"]
    expected = keras.ops.log_softmax(base(inputs))
    np.testing.assert_allclose(outputs[:, 0], expected, atol=1e-5)
    assert not gives_probabilities(base)
