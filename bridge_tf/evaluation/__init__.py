"""Metrics, temperature scaling, deep-ensemble equivalents and cost."""

from bridge_tf.evaluation.cost import count_flops, count_params
from bridge_tf.evaluation.dee import deep_ensemble_equivalent
from bridge_tf.evaluation.metrics import (
    accuracy,
    agreement,
    brier,
    ensemble_log_probs,
    expected_calibration_error,
    kl_divergence,
    nll,
)
from bridge_tf.evaluation.scores import evaluate, score
from bridge_tf.evaluation.temperature import apply_temperature, fit_temperature

__all__ = [
    "accuracy",
    "agreement",
    "apply_temperature",
    "brier",
    "count_flops",
    "count_params",
    "deep_ensemble_equivalent",
    "ensemble_log_probs",
    "evaluate",
    "expected_calibration_error",
    "fit_temperature",
    "kl_divergence",
    "nll",
    "score",
]
