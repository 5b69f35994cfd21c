"""Residual bridges: what they give, and that all that takes bridges takes them."""

import keras
import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from bridge_tf import BridgeEnsemble, InputError, Recipe, build_bridge, fit_bridge
from bridge_tf.bridges.bridge import answers_at, bridge_features, bridge_taps, is_residual
from bridge_tf.bridges.distillation import BridgeTraining
from bridge_tf.config import Config

TAP = "stage2_block1"
# Each with the options of `build_bridge` and whether the ensemble needs positions.
KINDS = {
    "type 1": {},
    "type 2": {"bridge_type": 2},
    "several taps": {"taps": ["stage1_block1", TAP]},
    "conditioned": {"conditioned": True},
    "conditioned, shared": {"conditioned": True, "shared_until": "stage3_block1"},
    "type 2, conditioned": {"bridge_type": 2, "conditioned": True},
}


def _bridge(base, taps=TAP, **options):
    bridge = build_bridge(base, taps, 0.5, residual=True, **options)
    assert is_residual(bridge)
    return bridge


def _shaken(bridge, seed: int = 0):
    """The bridge, none of whose weights is 0 any more."""
    generator = np.random.default_rng(seed)
    for variable in bridge.trainable_variables:
        variable.assign_add(generator.normal(0, 0.1, variable.shape))
    return bridge


def _positions(options) -> list[float]:
    return [0.25, 0.5] if options.get("conditioned") else []


@pytest.mark.parametrize("kind", KINDS)
def test_it_starts_as_the_base(build, images, kind):
    options = KINDS[kind]
    base, end = build("batch"), build("batch")
    others = [end] if options.get("bridge_type") == 2 else []
    ensemble = BridgeEnsemble(
        base, [_bridge(base, **options)], others, positions=_positions(options)
    )
    found = np.exp(ensemble.predict(images, verbose=0)["log_probabilities"])
    logits = np.mean([mode(images) for mode in [base, *others]], axis=0)
    wanted = softmax(logits, axis=-1)
    for answer in np.moveaxis(found, 1, 0)[1 + len(others) :]:
        np.testing.assert_allclose(answer, wanted, atol=1e-6)


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=[pytest.mark.integration] * kind.startswith("type 2"))
        for kind in KINDS
    ],
)
def test_it_adds_to_the_logits_and_is_saved(build, images, tmp_path, kind):
    options = KINDS[kind]
    base, end = build("batch"), build("batch")
    bridge = _shaken(_bridge(base, **options))
    bridge.save(tmp_path / "bridge.keras")
    loaded = keras.models.load_model(tmp_path / "bridge.keras", safe_mode=True)
    generator = np.random.default_rng(0)
    features = [
        keras.ops.convert_to_tensor(generator.normal(size=(3, *x.shape[1:])), "float32")
        for x in bridge.inputs
        if x.name != "curve.r"
    ]
    r = [keras.ops.full((3, 1), 0.25)] if options.get("conditioned") else []
    (first,) = answers_at(loaded, features, r)
    np.testing.assert_allclose(first, bridge([*features, *r]), atol=1e-6)
    places = [k for k, x in enumerate(bridge.inputs) if x.name.endswith("mode.logits")]
    assert len(places) == options.get("bridge_type", 1)
    moved = [x + 1 if k in places[:1] else x for k, x in enumerate(features)]
    (second,) = answers_at(loaded, moved, r)
    np.testing.assert_allclose(np.subtract(second, first), 1 / len(places), atol=1e-5)

    others = [end] if options.get("bridge_type") == 2 else []
    ensemble = BridgeEnsemble(base, [loaded], others, positions=_positions(options))
    ensemble.save(tmp_path / "ensemble.keras")
    again = keras.models.load_model(tmp_path / "ensemble.keras", safe_mode=True)
    wanted = ensemble.predict(images, verbose=0)["log_probabilities"]
    assert np.abs(wanted[:, -1] - wanted[:, 0]).max() > 1e-3
    np.testing.assert_array_equal(again.predict(images, verbose=0)["log_probabilities"], wanted)


def test_what_it_reads(build):
    base = build()
    assert bridge_taps(_bridge(base)) == (1, [TAP])
    assert bridge_features(_bridge(base, bridge_type=2)) == (2, [TAP, "mode.logits"])
    ensemble = BridgeEnsemble(base, [_bridge(base)])
    assert ensemble.reads() == [[(0, TAP), (0, "mode.logits")]]
    assert not is_residual(build_bridge(base, TAP))


def test_the_last_layer_alone_starts_at_zero(build):
    base, member = build(), build()
    bridge = build_bridge(base, TAP, 1, warm_start=member, residual=True)
    zero = [x.name for x in bridge.layers if x.weights and not np.any(x.get_weights()[0])]
    assert zero == ["logits"]
    np.testing.assert_array_equal(
        bridge.get_layer("stage3_block1_conv1").get_weights()[0],
        member.get_layer("stage3_block1_conv1").get_weights()[0],
    )


def test_a_body_of_ones_own(build, images):
    base = build()
    body = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(5, name="answer")])
    bridge = build_bridge(base, TAP, body=body, residual=True)
    assert not np.any(body.get_layer("answer").get_weights()[0])
    model = BridgeTraining(bridge, base, build())
    np.testing.assert_allclose(
        model(images)["bridge"], log_softmax(base(images), axis=-1), atol=1e-5
    )


def test_a_base_that_ends_in_a_softmax(build, images):
    inner = build()
    for outputs in (
        keras.layers.Softmax(name="answer")(inner.output),
        keras.layers.Reshape((5,), name="end")(keras.ops.softmax(inner.output)),
    ):
        base = keras.Model(inner.input, outputs)
        found = BridgeEnsemble(base, [_shaken(_bridge(base))]).predict(images, verbose=0)
        answers = np.exp(found["log_probabilities"])
        np.testing.assert_allclose(answers[:, 0], base(images), atol=1e-6)
        assert np.abs(answers[:, 1] - answers[:, 0]).max() > 1e-4


@pytest.mark.integration
def test_training_with_repulsion_brings_it_nearer(build, images):
    base, member = build(), build()
    bridge = _bridge(base)
    recipe = Recipe(epochs=4, learning_rate=0.05, warmup_epochs=0, jit_compile=False)
    losses = fit_bridge(bridge, base, member, images, recipe, repulsion=0.1, batch_size=8).history
    assert losses["loss"][-1] < losses["loss"][0]


def test_a_layer_of_the_reserved_name_cannot_be_tapped():
    image = keras.Input((4, 4, 1))
    x = keras.layers.Flatten(name="mode.logits")(image)
    base = keras.Model(image, keras.layers.Dense(3)(keras.layers.Dense(4)(x)))
    with pytest.raises(InputError, match="rename it"):
        build_bridge(base, "mode.logits")


def test_a_run_has_none_unless_it_is_asked_for():
    flags = Config(residual=True).to_json()
    assert Config(**flags).residual
    del flags["residual"]
    assert Config(**flags) == Config()
