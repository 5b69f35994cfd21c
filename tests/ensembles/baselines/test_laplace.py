import keras
import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from bridge_tf.ensembles.baselines import laplace
from bridge_tf.utils.errors import InputError

INPUTS = np.random.default_rng(0).normal(size=(40, 6)).astype("float32")


def classifier(bias=True, end=None):
    keras.utils.set_random_seed(1)
    inputs = keras.Input((6,))
    features = keras.layers.Dense(4, activation="tanh", name="features")(inputs)
    outputs = keras.layers.Dense(3, use_bias=bias, activation=end, name="last")(features)
    model = keras.Model(inputs, outputs)
    model.get_layer("last").set_weights(
        [2 * w if w.ndim == 2 else w + 0.3 for w in model.get_layer("last").get_weights()]
    )
    return model


def by_hand(model, bias, inputs, precision=None):
    """With the whole covariance of the last layer's weights, inputs × classes."""
    reader = keras.Model(model.input, model.get_layer("features").output)
    weights = model.get_layer("last").get_weights()
    last = np.vstack([w.reshape(-1, 3) for w in weights]).astype("float64")

    def features(x):
        found = reader.predict(x, verbose=0).astype("float64")
        return np.column_stack([found, np.ones(len(x))]) if bias else found

    trained = features(INPUTS)
    p = softmax(trained @ last, axis=1)
    a = sum(np.outer(row, row) for row in trained)
    g = sum(np.diag(row) - np.outer(row, row) for row in p)
    newton = np.kron(a, g) / len(INPUTS)

    def minus_evidence(log_t):
        posterior = newton + np.exp(log_t) * np.eye(len(newton))
        fit = len(newton) * log_t - np.exp(log_t) * np.square(last).sum()
        return -0.5 * (fit - np.linalg.slogdet(posterior)[1])

    best = minimize_scalar(minus_evidence, bracket=(-2, 2), tol=1e-10).x
    covariance = np.linalg.inv(newton + np.exp(best) * np.eye(len(newton)))
    answers = []
    for row in features(inputs):
        logits = row @ last
        jacobian = np.kron(row, np.eye(3)).reshape(3, -1, order="C")
        variances = np.array([jacobian[c] @ covariance @ jacobian[c] for c in range(3)])
        answers.append(logits / np.sqrt(1 + np.pi * variances / 8))
    return np.array(answers)


@pytest.mark.parametrize("bias", [True, False])
def test_logits_are_those_of_the_whole_covariance(bias):
    model, more = classifier(bias), INPUTS[:7] * 3
    found = laplace(model, INPUTS).predict(more, verbose=0)
    np.testing.assert_allclose(found, by_hand(model, bias, more), rtol=2e-4, atol=2e-4)


def test_a_softmax_at_the_end_is_left_out():
    with_softmax = laplace(classifier(end="softmax"), INPUTS).predict(INPUTS, verbose=0)
    np.testing.assert_allclose(
        with_softmax, laplace(classifier(), INPUTS).predict(INPUTS, verbose=0), atol=1e-5
    )


def test_it_is_saved_and_loaded(tmp_path):
    model = laplace(classifier(), INPUTS)
    model.save(tmp_path / "laplace.keras")
    loaded = keras.models.load_model(tmp_path / "laplace.keras")
    np.testing.assert_array_equal(*(m.predict(INPUTS, verbose=0) for m in (model, loaded)))


def test_other_ends_are_refused():
    inputs = keras.Input((6,))
    model = keras.Model(inputs, keras.layers.Conv1D(2, 1)(keras.layers.Reshape((1, 6))(inputs)))
    flat = keras.Model(inputs, keras.layers.Flatten()(model(inputs)))
    with pytest.raises(InputError, match="ends in a Dense layer"):
        laplace(flat, INPUTS)
