"""FLOPs and parameters against counts by hand."""

import keras
import pytest
from keras import layers

from bridge_tf.networks.flops import count_flops, count_params


def chain(shape, *steps):
    x = image = keras.Input(shape)
    for step in steps:
        x = step(x)
    return keras.Model(image, x)


@pytest.fixture(autouse=True)
def warned(caplog):
    """The warnings a test expects: no operation may be left out of a count otherwise."""
    expected = []
    yield expected
    # At teardown `caplog.records` holds the teardown's own records only.
    records = caplog.get_records("call")
    assert [r.getMessage() for r in records if r.name == "bridge_tf.networks.flops"] == expected


@pytest.mark.parametrize(
    ("shape", "layer", "expected"),
    [
        # 2 × inputs × outputs, bias, softmax.
        ((5,), layers.Dense(3, activation="softmax"), 2 * 5 * 3 + 3 + 3),
        ((5,), layers.Dense(3, use_bias=False), 2 * 5 * 3),
        # 2 × window × input planes × outputs; "valid" leaves 7×7, "same" with stride 2 5×5.
        ((9, 9, 2), layers.Conv2D(4, 3, use_bias=False), 2 * 9 * 2 * 7 * 7 * 4),
        ((9, 9, 2), layers.Conv2D(4, 3, padding="same"), (2 * 9 * 2 + 1) * 9 * 9 * 4),
        ((9, 9, 2), layers.Conv2D(4, 3, strides=2, padding="same"), (2 * 9 * 2 + 1) * 5 * 5 * 4),
        # A group of outputs sees its own inputs only: 2 planes each.
        ((9, 9, 4), layers.Conv2D(4, 3, groups=2), (2 * 9 * 2 + 1) * 7 * 7 * 4),
        # Depthwise: one plane each.
        ((9, 9, 2), layers.DepthwiseConv2D(3), (2 * 9 + 1) * 7 * 7 * 2),
        ((9, 9, 2), layers.DepthwiseConv2D(3, depth_multiplier=3), (2 * 9 + 1) * 7 * 7 * 6),
        # Every window reads 2×2 of each plane; the global mean reads each element once.
        ((8, 8, 3), layers.MaxPooling2D(2), 4 * 4 * 4 * 3),
        ((8, 8, 3), layers.AveragePooling2D(2, strides=1), 4 * 7 * 7 * 3),
        ((8, 8, 3), layers.GlobalAveragePooling2D(), 8 * 8 * 3),
        ((8, 8, 3), layers.ReLU(), 8 * 8 * 3),
        # A multiplication and an addition.
        ((8, 8, 3), layers.Rescaling(1 / 255), 2 * 8 * 8 * 3),
        # β·x, the sigmoid of it, and x times that.
        ((8, 8, 3), layers.Activation("silu"), 3 * 8 * 8 * 3),
        # Moving data is free; so is what only training does.
        ((8, 8, 3), layers.Flatten(), 0),
        ((8, 8, 3), layers.ZeroPadding2D(2), 0),
        ((8, 8, 3), layers.Dropout(0.5), 0),
        # Interpolation is arithmetic.
        ((4, 4, 3), layers.UpSampling2D(2, interpolation="bilinear"), 8 * 8 * 3),
    ],
)
def test_layers_by_hand(shape, layer, expected):
    assert count_flops(chain(shape, layer)) == expected


def test_residual_network_by_hand():
    x = image = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", use_bias=False)(x)
    y = layers.BatchNormalization()(x)
    y = layers.ReLU()(y)
    y = layers.Conv2D(4, 3, padding="same", use_bias=False)(y)
    x = layers.Add()([x, y])
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, layers.Dense(5)(x))
    map_size = 8 * 8 * 4
    products = 2 * 27 * map_size + 2 * 36 * map_size + 2 * 4 * 5
    # Per channel: variance + ε, its inverse root, times γ, times the mean, subtracted from β.
    # Per element: times the scale, plus the shift.
    batch_norm = 5 * 4 + 2 * map_size
    rest = batch_norm + map_size + map_size + map_size + 5  # ReLU, sum, mean, bias
    assert count_flops(model) == products + rest


def test_attention_products_by_hand():
    x = keras.Input((6, 8))
    attention = layers.MultiHeadAttention(2, 4)
    model = keras.Model(x, attention(x, x))
    projections = 4 * (2 * 8 * 8 * 6 + 6 * 8)
    scores, softmax, values = 2 * 6 * 6 * 8, 2 * 6 * 6, 2 * 6 * 6 * 8
    scaling = 2 * 6 * 6
    assert count_flops(model) == projections + scores + scaling + softmax + values


def test_model_in_a_model_counts_at_each_execution():
    inner = chain((5,), layers.Dense(5, use_bias=False))
    assert count_flops(chain((5,), inner)) == 50
    twice = chain((5,), inner, inner)
    assert count_flops(twice) == 100
    assert count_params(twice) == 25


@pytest.mark.parametrize("structure", [list, dict])
def test_several_inputs(structure, recwarn):
    a, b = keras.Input((4,), name="a"), keras.Input((6,), name="b")
    inputs = [a, b] if structure is list else {"b": b, "a": a}
    y = layers.Dense(2, use_bias=False)(a)
    z = layers.Dense(3, use_bias=False)(b)
    model = keras.Model(inputs, layers.Concatenate()([y, z]))
    assert count_flops(model) == 2 * 4 * 2 + 2 * 6 * 3
    assert not [w for w in recwarn if "structure of `inputs`" in str(w.message)]


class _Custom(layers.Layer):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def call(self, x):
        return self.function(x)

    def compute_output_shape(self, shape):
        return shape


def test_called_functions_are_counted():
    import tensorflow as tf

    inner = tf.function(lambda x: tf.exp(x) * 2.0, jit_compile=True)
    outer = tf.function(lambda x: inner(x) + 1.0)
    assert count_flops(chain((4,), _Custom(outer))) == 3 * 4


def test_larger_branch_of_a_condition_counts():
    import tensorflow as tf

    def choose(x):
        return tf.cond(tf.reduce_sum(x) > 0, lambda: x + 1.0, lambda: tf.exp(x) * 2.0)

    # The sum, the comparison, the branch of two operations.
    assert count_flops(chain((4,), _Custom(choose))) == 4 + 1 + 2 * 4


def test_results_that_nothing_uses_are_not_counted():
    def wasteful(x):
        keras.ops.exp(x)
        return x + 1

    assert count_flops(chain((4,), _Custom(wasteful))) == 4


def test_unknown_operation_is_named_in_a_warning(warned):
    import tensorflow as tf

    warned.append("FLOPs not counted for Atan")
    model = chain((4,), _Custom(lambda x: tf.atan(tf.atan(x)) + 1.0))
    assert count_flops(model) == 4


def test_loop_counts_one_pass_and_says_so(warned):
    import tensorflow as tf

    def loop(x):
        return tf.while_loop(lambda k, y: k < 3, lambda k, y: (k + 1, tf.exp(y)), (0, x))[1]

    warned.append("FLOPs not counted for StatelessWhile (passes after the first)")
    # The exponential; the loop's counter and a second counter that TensorFlow adds.
    assert count_flops(chain((4,), _Custom(loop))) == 4 + 2


def test_inputs_of_unknown_size_are_refused():
    with pytest.raises(ValueError, match=r"Received: model\.input="):
        count_flops(chain((None, None, 3), layers.ReLU()))


def test_tracing_prints_nothing(capsys):
    count_flops(chain((5,), layers.Dense(3)))
    assert capsys.readouterr().out == ""


def test_params_are_the_floating_point_weights_each_once():
    shared = layers.Dense(4)
    model = chain((4,), shared, layers.Dropout(0.5), layers.BatchNormalization(), shared)
    # Kernel and bias once; scale, shift, mean and variance; no state of random generators.
    assert count_params(model) == (16 + 4) + 4 * 4


def test_params_leave_out_optimizer_and_metrics():
    model = chain((4,), layers.Dense(3))
    model.compile("adam", "mse", metrics=["mae"])
    model.optimizer.build(model.trainable_variables)
    assert count_params(model) == 15
