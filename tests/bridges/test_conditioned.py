import keras
import numpy as np
import pytest

from bridge_tf import BridgeEnsemble, Curve, InputError, Recipe, build_bridge, fit_bridge
from bridge_tf.bridges.bridge import bridge_taps, is_conditioned
from bridge_tf.bridges.distillation import BridgeTraining
from bridge_tf.curves.batch_norm import reestimate_batch_norm
from bridge_tf.networks.flops import count_flops

TAP, CUT = "stage2_block1", "stage3_block1"


def answers(base, bridge, images, positions):
    ensemble = BridgeEnsemble(base, [bridge], positions=positions)
    return np.exp(ensemble.predict(images, verbose=0)["log_probabilities"][:, 1:])


@pytest.mark.parametrize("shared_until", [None, CUT])
@pytest.mark.parametrize("norm", ["frn", "batch"])
def test_untrained_it_says_the_same_at_every_r(build, images, norm, shared_until):
    base = build(norm)
    bridge = build_bridge(
        base, TAP, 1.0, conditioned=True, shared_until=shared_until, warm_start=base
    )
    assert is_conditioned(bridge) and bridge_taps(bridge) == (1, [TAP])
    found = answers(base, bridge, images, [0.0, 0.3, 1.0])
    expected = keras.ops.softmax(base.predict(images, verbose=0))
    for k in range(3):
        np.testing.assert_allclose(found[:, k], expected, atol=1e-5)


@pytest.mark.parametrize("bridge_type", [1, 2])
def test_members_are_the_bridge_at_its_positions(build, images, bridge_type):
    base, end = build(), build()
    bridge = build_bridge(base, TAP, 0.5, conditioned=True, bridge_type=bridge_type)
    for variable in bridge.trainable_variables:
        variable.assign_add(np.random.default_rng(0).normal(0, 0.3, variable.shape))
    others = [end] if bridge_type == 2 else []
    ensemble = BridgeEnsemble(base, [bridge], others, positions=[0.2, 0.9])
    found = ensemble.predict(images, verbose=0)["log_probabilities"][:, bridge_type:]
    features = [
        keras.Model(mode.input, mode.get_layer(TAP).output)(images) for mode in (base, *others)
    ]
    for k, r in enumerate((0.2, 0.9)):
        logits = bridge([*features, keras.ops.full((len(images), 1), r)])
        np.testing.assert_allclose(found[:, k], keras.ops.log_softmax(logits), atol=1e-4)
    assert np.abs(found[:, 0] - found[:, 1]).max() > 1e-2


@pytest.mark.integration
def test_what_is_shared_is_computed_once(build):
    base = build(model="resnet14", width=0.5)

    alone = count_flops(BridgeEnsemble(base, []))

    def cost(bridge, positions):
        return count_flops(BridgeEnsemble(base, [bridge], positions=positions)) - alone

    bridge = build_bridge(base, "stage2_block2", 1.0, conditioned=True)
    one, three = cost(bridge, [0.5]), cost(bridge, [0.2, 0.5, 0.8])
    assert three == pytest.approx(3 * one, rel=0.001)
    bridge = build_bridge(
        base, "stage2_block2", 1.0, conditioned=True, shared_until="stage3_block1"
    )
    shared = count_flops(bridge.get_layer("body.shared"))
    assert shared > 0.3 * one
    one, three = cost(bridge, [0.5]), cost(bridge, [0.2, 0.5, 0.8])
    assert three == pytest.approx(3 * one - 2 * shared, rel=0.001)


@pytest.mark.integration
@pytest.mark.parametrize("norm", ["frn", "batch"])
def test_it_learns_the_whole_curve(build, images, norm):
    ends = build(norm), build(norm)
    curve = Curve.between(*ends)
    path = curve.path(images)
    bridge = build_bridge(ends[0], "stage1_block1", 1.0, conditioned=True)
    training = BridgeTraining(bridge, ends[0], path)
    positions = (0.1, 0.5, 0.9)

    def losses():
        return [
            float(training.compute_loss(x=images, y_pred=training(images, r=r, training=True)))
            for r in positions
        ]

    before = losses()
    recipe = Recipe(epochs=60, learning_rate=0.05, warmup_epochs=3, jit_compile=False)
    fit_bridge(bridge, ends[0], path, images, recipe, batch_size=24)
    for old, new in zip(before, losses(), strict=True):
        assert new < 0.3 * old
    # The answers differ along the curve as its members do: it doesn't say the same everywhere.
    found = answers(ends[0], bridge, images, positions)
    wanted = [
        keras.ops.softmax(curve.model_at(r, images).predict(images, verbose=0)) for r in positions
    ]
    moved = np.abs(np.asarray(wanted[0]) - np.asarray(wanted[2])).mean()
    assert np.abs(found[:, 0] - found[:, 2]).mean() > 0.5 * moved


@pytest.mark.integration
@pytest.mark.parametrize("norm", ["frn", "batch"])
def test_a_path_is_the_member_at_every_r(build, tiny, images, norm):
    ends = (build(), build()) if norm == "frn" else (tiny(), tiny())
    for mode in ends:
        reestimate_batch_norm(mode, images)
    curve = Curve.between(*ends)
    path = curve.path(images)

    def errors(r):
        expected = curve.model_at(r, images).predict(images, verbose=0)
        return [np.abs(model(images, r=r) - expected).mean() for model in (path, curve)]

    for r in (0.0, 0.25, 0.5, 1.0):  # positions of its grid
        assert errors(r)[0] < 1e-4
    for r in (0.1, 0.3, 0.72):  # between them, interpolated
        ours, straight = errors(r)
        assert ours < 1e-5 if norm == "frn" else ours < 0.1 * straight
    assert not path.trainable_variables


def test_save_and_load(build, images, tmp_path):
    base = build()
    bridge = build_bridge(base, TAP, 0.5, conditioned=True, shared_until=CUT)
    ensemble = BridgeEnsemble(base, [bridge], positions=[0.25, 0.75])
    ensemble.save(tmp_path / "ensemble.keras")
    loaded = keras.models.load_model(tmp_path / "ensemble.keras", safe_mode=True)
    assert loaded.positions == [0.25, 0.75]
    found, expected = (m.predict(images, verbose=0) for m in (loaded, ensemble))
    np.testing.assert_array_equal(found["log_probabilities"], expected["log_probabilities"])


def test_a_body_of_ones_own(build, images):
    base = build()

    def body(inputs):
        features, r = inputs
        x = keras.layers.GlobalAveragePooling2D()(features)
        return keras.layers.Dense(5, name="mine")(keras.layers.Concatenate()([x, r]))

    bridge = build_bridge(base, TAP, body=body, conditioned=True)
    assert answers(base, bridge, images, [0.5, 1.0]).shape == (24, 2, 5)
    plain = build_bridge(
        base, TAP, body=keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(5)])
    )
    assert plain.output_shape == (None, 5) and not is_conditioned(plain)
    with pytest.raises(InputError, match=r"body: must give logits \(None, 5\).*\(None, 4\)"):
        flat = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(4)])
        build_bridge(base, TAP, body=flat)


@pytest.mark.integration
def test_bad_arguments_are_named(build):
    base = build("batch")
    conditioned = build_bridge(base, TAP, 0.5, conditioned=True)
    curve = Curve.between(base, build("batch"))
    with pytest.raises(ValueError, match="need positions"):
        BridgeEnsemble(base, [conditioned])
    with pytest.raises(ValueError, match=r"positions=\[1\.5\]"):
        BridgeEnsemble(base, [conditioned], positions=[1.5])
    with pytest.raises(ValueError, match=r"Curve\.path"):
        BridgeTraining(conditioned, base, base)
    with pytest.raises(ValueError, match=r"Curve\.path"):
        BridgeTraining(build_bridge(base, TAP), base, curve.path(np.zeros((2, 8, 8, 1)), points=2))
    with pytest.raises(ValueError, match="needs data"):
        curve.path()
    with pytest.raises(ValueError, match="points=1"):
        curve.path(points=1)
    with pytest.raises(ValueError, match="shared_until needs conditioned"):
        build_bridge(base, TAP, shared_until=CUT)
    with pytest.raises(InputError, match=f"'stage1_block1' must lie behind the tap '{TAP}'"):
        build_bridge(base, TAP, conditioned=True, shared_until="stage1_block1")
