import math

import keras
import numpy as np
import pytest

from bridge_tf import Curve, Recipe, fit_curve
from bridge_tf.curves.batch_norm import reestimate_batch_norm
from bridge_tf.curves.shapes import coefficients

QUICK = Recipe(epochs=2, learning_rate=0.01, warmup_epochs=0, jit_compile=False)


def arrays(variables):
    return [keras.ops.convert_to_numpy(variable).copy() for variable in variables]


@pytest.mark.parametrize("norm", ["frn", "batch"])
@pytest.mark.parametrize(("kind", "degree"), [("bezier", 1), ("bezier", 2), ("chain", 3)])
def test_end_points_reproduce_the_modes(build, images, norm, kind, degree):
    start, end = build(norm), build(norm)
    curve = Curve.between(start, end, degree=degree, kind=kind)
    for r, mode in ((0.0, start), (1.0, end)):
        expected = mode.predict(images, verbose=0)
        np.testing.assert_allclose(curve(images, r=r), expected, atol=1e-5)
        np.testing.assert_allclose(curve.model_at(r)(images), expected, atol=1e-5)


@pytest.mark.parametrize("degree", [1, 2, 3, 5])
def test_bezier_against_a_plain_loop(degree):
    points = np.random.default_rng(0).normal(size=(degree + 1, 4))
    for r in (0.0, 0.2, 0.5, 0.9, 1.0):
        expected = np.zeros(4)
        for k in range(degree + 1):
            binomial = math.factorial(degree) / math.factorial(k) / math.factorial(degree - k)
            expected += binomial * (1 - r) ** (degree - k) * r**k * points[k]
        found = sum(c * p for c, p in zip(coefficients("bezier", degree, r), points, strict=True))
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_chain_passes_through_its_points_and_is_linear_between():
    points = np.random.default_rng(0).normal(size=(4, 3))

    def at(r):
        shares = [float(share) for share in coefficients("chain", 3, r)]
        return np.dot(shares, points)

    for k in range(4):
        np.testing.assert_allclose(at(k / 3), points[k], atol=1e-6)
    np.testing.assert_allclose(at(0.5), (points[1] + points[2]) / 2, atol=1e-6)


def test_control_point_starts_at_the_mean(build):
    start, end = build(), build()
    curve = Curve.between(start, end)
    for a, control, b in zip(
        start.trainable_variables, curve.control_points[1], end.trainable_variables, strict=True
    ):
        np.testing.assert_allclose(control, (a.numpy() + b.numpy()) / 2, atol=1e-6)


@pytest.mark.parametrize("norm", ["frn", "batch"])
def test_training_changes_the_control_points_and_nothing_else(build, images, labels, norm):
    curve = Curve.between(build(norm), build(norm))
    before = [arrays(points) for points in curve.control_points]
    state = arrays(curve.start_state + curve.end_state)
    fit_curve(curve, (images, labels), QUICK, batch_size=8)
    for k, points in enumerate(curve.control_points):
        changed = [not np.array_equal(a, b) for a, b in zip(before[k], arrays(points), strict=True)]
        assert all(changed) if k == 1 else not any(changed)
    for a, b in zip(state, arrays(curve.start_state + curve.end_state), strict=True):
        np.testing.assert_array_equal(a, b)
    assert {id(v) for v in curve.trainable_variables} == {id(v) for v in curve.control_points[1]}


def test_the_gradient_is_the_bernstein_share_of_the_plain_one(build, images, labels):
    import tensorflow as tf

    curve = Curve.between(build(), build())
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    member = curve.model_at(0.3)
    with tf.GradientTape() as tape:
        value = loss(labels, member(images, training=True))
    plain = tape.gradient(value, member.trainable_variables)
    with tf.GradientTape() as tape:
        value = loss(labels, curve(images, r=0.3, training=True))
    ours = tape.gradient(value, curve.trainable_variables)
    for a, b in zip(ours, plain, strict=True):
        np.testing.assert_allclose(a, 2 * 0.3 * 0.7 * b.numpy(), atol=1e-5)


def test_one_r_for_the_whole_batch_is_drawn_uniformly_at_each_step():
    import tensorflow as tf

    inputs = keras.Input((1,))
    ends = [
        keras.Model(
            inputs, keras.layers.Dense(1, use_bias=False, kernel_initializer=kernel)(inputs)
        )
        for kernel in ("zeros", "ones")
    ]
    # On the line from weight 0 to weight 1 the output for an input of 1 is r itself.
    curve = Curve.between(*ends, degree=1)
    step = tf.function(lambda x: curve(x, training=True))
    draws = np.array([step(np.ones((4, 1), "float32")).numpy()[:, 0] for _ in range(500)])
    np.testing.assert_array_equal(draws, np.repeat(draws[:, :1], 4, axis=1))
    r = np.sort(draws[:, 0])
    assert r[0] >= 0 and r[-1] <= 1 and len(set(r)) == 500
    # Kolmogorov-Smirnov at 500 draws: a distance of 0.073 has probability 1 %.
    assert np.abs(r - (np.arange(500) + 0.5) / 500).max() < 0.073


def test_outside_training_r_is_one_half_unless_given(build, images):
    curve = Curve.between(build(), build())
    np.testing.assert_array_equal(curve(images), curve(images, r=0.5))
    assert np.abs(curve(images).numpy() - curve(images, r=0.4).numpy()).max() > 1e-4


def test_save_and_load(build, images, tmp_path):
    curve = Curve.between(build("batch"), build("batch"), degree=3)
    curve.save(tmp_path / "curve.keras")
    loaded = keras.models.load_model(tmp_path / "curve.keras", safe_mode=True)
    for r in (0.0, 0.4, 1.0):
        np.testing.assert_array_equal(curve(images, r=r), loaded(images, r=r))


def test_member_is_a_model_of_its_own(build, images, tmp_path):
    curve = Curve.between(build(), build())
    member = curve.model_at(0.5)
    np.testing.assert_allclose(member(images), curve(images, r=0.5), atol=1e-5)
    member.trainable_variables[0].assign_add(np.ones_like(member.trainable_variables[0]))
    assert np.abs(member(images).numpy() - curve(images, r=0.5).numpy()).max() > 1e-3
    member.save(tmp_path / "member.keras")


def test_reestimated_statistics_are_those_of_the_data(build, images):
    network = build("batch")
    reestimate_batch_norm(network, images, steps=None)
    first = network.get_layer("stem_norm")
    inputs = keras.Model(network.input, network.get_layer("stem_conv").output)(images).numpy()
    np.testing.assert_allclose(first.moving_mean, inputs.mean((0, 1, 2)), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(first.moving_variance, inputs.var((0, 1, 2)), rtol=1e-4)


def test_reestimation_over_batches_follows_the_law_of_total_variance(build, images):
    import tensorflow as tf

    network = build("batch")
    reestimate_batch_norm(network, tf.data.Dataset.from_tensor_slices(images).batch(6))
    first = network.get_layer("stem_norm")
    inputs = keras.Model(network.input, network.get_layer("stem_conv").output)(images).numpy()
    np.testing.assert_allclose(first.moving_variance, inputs.var((0, 1, 2)), rtol=1e-4)


def test_model_at_reestimates_between_the_end_points_only(build, images):
    curve = Curve.between(build("batch"), build("batch"))
    plain, estimated = curve.model_at(0.5), curve.model_at(0.5, images)
    norms = [m.get_layer("stem_norm").moving_mean.numpy() for m in (plain, estimated)]
    assert np.abs(norms[0] - norms[1]).max() > 1e-3
    ends = [curve.model_at(0.0).get_weights(), curve.model_at(0.0, images).get_weights()]
    for a, b in zip(*ends, strict=True):
        np.testing.assert_array_equal(a, b)


def test_bad_arguments_are_named(build):
    with pytest.raises(ValueError, match=r"stem_conv.*8.*Received"):
        Curve.between(build(), build(width=0.5))
    with pytest.raises(ValueError, match="degree=0"):
        Curve(build(), degree=0)
    with pytest.raises(ValueError, match="kind=spline"):
        Curve(build(), kind="spline")
    with pytest.raises(ValueError, match=r"r=1\.5"):
        Curve.between(build(), build()).model_at(1.5)


@pytest.mark.parametrize("nested", [False, True])
def test_modes_of_different_phases_of_fine_tuning_are_refused(nested):
    def network(frozen):
        convolution = keras.layers.Conv2D(2, 3, name="conv")
        inner = keras.Sequential([keras.Input((4, 4, 1)), convolution], name="backbone")
        (inner if nested else inner.layers[0]).trainable = not frozen
        layers = [inner] if nested else inner.layers
        return keras.Sequential(
            [keras.Input((4, 4, 1)), *layers, keras.layers.Flatten(), keras.layers.Dense(2)]
        )

    place = "backbone" if nested else "conv"
    with pytest.raises(ValueError, match=rf"trainable of the layer .*{place} is False in"):
        Curve.between(network(frozen=True), network(frozen=False))


def test_a_network_whose_call_has_no_training_argument(images):
    @keras.saving.register_keras_serializable(package="tests")
    class Plain(keras.Model):
        def __init__(self, **options):
            super().__init__(**options)
            self.flatten, self.dense = keras.layers.Flatten(), keras.layers.Dense(5)

        def call(self, inputs):
            return self.dense(self.flatten(inputs) / 255)

        def get_config(self):
            return {"name": self.name}

    ends = Plain(), Plain()
    for end in ends:
        end(images)
    curve = Curve.between(*ends)
    for r, wanted in ((0.0, ends[0](images)), (1.0, ends[1](images))):
        np.testing.assert_array_equal(curve(images, r=r), wanted)
    np.testing.assert_allclose(curve.path()(images, r=0.5), curve(images), atol=1e-6)
