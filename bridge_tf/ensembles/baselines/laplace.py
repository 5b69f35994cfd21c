"""Last-layer Laplace approximation (Daxberger et al., "Laplace Redux", NeurIPS 2021)."""

import math

import keras
import numpy as np
from keras import ops

from bridge_tf.networks.classifier import as_classifier, logits_copy
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.graph import is_graph, operation_behind

_BATCH = 512
# The range in which the prior precision is searched.
_PRECISIONS = (1e-4, 1e6)


def laplace(network: keras.Model, images) -> keras.Model:
    """A trained network whose logits are scaled by how unsure its last layer is of them.

    The posterior of the last layer's weights is a Gaussian around the trained ones. Its precision
    is τI + A ⊗ G / N with A = Σ φφᵀ of the layer's inputs φ (and 1 for its bias) and
    G = Σ diag(p) - ppᵀ of the predictions p: the Kronecker-factored Gauss-Newton matrix. The prior
    precision τ is that of the highest marginal likelihood. Logits z with variances v become
    z / √(1 + πv/8), the probit approximation of the mean prediction (MacKay, 1992).

    Args:
        network: a trained Functional or Sequential classifier that ends in a `Dense` layer, perhaps
            with a softmax; not changed.
        images: those that it was trained on, N×H×W×C or other inputs; their labels aren't needed.

    Returns:
        A Functional model from images to logits, N×classes.

    Raises:
        InputError: the network doesn't end in a `Dense` layer.
    """
    network = logits_copy(as_classifier(network))
    last = operation_behind(network.outputs[0]) if is_graph(network) else None
    if not isinstance(last, keras.layers.Dense):
        raise InputError("needs a network that ends in a Dense layer; leave it out")
    reader = keras.Model(network.input, [last.input, last.output])
    inputs, predicted, number = _statistics(reader, images, last.use_bias)
    of_inputs, of_outputs = np.linalg.eigh(inputs), np.linalg.eigh(predicted)
    curvature = np.outer(*(np.maximum(values, 0) for values, _ in (of_inputs, of_outputs))) / number
    squares = sum(float(np.square(weight).sum()) for weight in last.get_weights())
    variance = 1 / (curvature + _prior_precision(curvature, squares))
    rotation, kernel = of_inputs[1], [variance, np.square(of_outputs[1]).T]
    dense = keras.layers.Dense
    rotated = dense(len(rotation), use_bias=last.use_bias, name="laplace_rotation")
    scaled = dense(len(predicted), use_bias=False, name="laplace_variance")
    back = dense(len(predicted), use_bias=False, name="laplace_logits")
    logits = last.output / ops.sqrt(1 + math.pi / 8 * back(scaled(ops.square(rotated(last.input)))))
    split = [rotation[:-1], rotation[-1]] if last.use_bias else [rotation]
    for layer, weights in ((rotated, split), (scaled, kernel[:1]), (back, kernel[1:])):
        layer.set_weights(weights)
    return keras.Model(network.input, logits, name="laplace")


def _statistics(reader: keras.Model, images, bias: bool) -> tuple[np.ndarray, np.ndarray, int]:
    """Σ φφᵀ, Σ diag(p) - ppᵀ, and the number of images."""
    from scipy.special import softmax

    inputs, predicted = 0.0, 0.0
    for start in range(0, len(images), _BATCH):
        batch = np.asarray(images[start : start + _BATCH])
        features, logits = (np.asarray(x, "float64") for x in reader.predict_on_batch(batch))
        if bias:
            features = np.concatenate([features, np.ones((len(features), 1))], axis=1)
        p = softmax(logits, axis=1)
        inputs = inputs + features.T @ features
        predicted = predicted + np.diag(p.sum(axis=0)) - p.T @ p
    return np.asarray(inputs), np.asarray(predicted), len(images)


def _prior_precision(curvature: np.ndarray, squares: float) -> float:
    """The τ that maximizes the marginal likelihood of the training data.

    Args:
        curvature: the eigenvalues of the Gauss-Newton matrix, one for each weight.
        squares: the sum of the squared weights.
    """
    from scipy.optimize import minimize_scalar

    def evidence(log_t: float) -> float:
        fit = curvature.size * log_t - np.exp(log_t) * squares
        return 0.5 * (fit - np.log(curvature + np.exp(log_t)).sum())

    found = minimize_scalar(
        lambda log_t: -evidence(log_t), bounds=np.log(_PRECISIONS), method="bounded"
    )
    return float(np.exp(found.x))
