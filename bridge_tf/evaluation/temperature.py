"""Temperature scaling (Guo et al., ICML 2017) of ensemble probabilities."""

import numpy as np

from bridge_tf.evaluation.metrics import accuracy, nll

_BOUNDS = (0.01, 100.0)


def apply_temperature(log_probs, temperature: float) -> np.ndarray:
    """Log-probabilities of softmax(log p / T), N×classes.

    Args:
        log_probs: N×classes.
        temperature: T > 0; above 1 makes predictions less sure.
    """
    from scipy.special import log_softmax

    if not temperature > 0:
        raise ValueError(f"temperature must be positive. Received: temperature={temperature}")
    return log_softmax(np.asarray(log_probs, "float64") / temperature, axis=1)


def fit_temperature(log_probs, labels) -> float:
    """The temperature in [0.01, 100] with the least negative log-likelihood.

    Fit it on the validation split. Where every prediction is right there is no minimum, and the
    lower bound would turn the first mistake on other data into an enormous loss: then 1.

    Args:
        log_probs: N×classes.
        labels: N.
    """
    from scipy.optimize import minimize_scalar

    if accuracy(log_probs, labels) == 1:
        return 1.0
    result = minimize_scalar(
        lambda log_t: nll(apply_temperature(log_probs, np.exp(log_t)), labels),
        bounds=np.log(_BOUNDS),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(result.x))
