"""Metrics, temperature scaling, deep-ensemble equivalents and cost, for use without a run."""

from bridge_tf.evaluation.calibration import apply_temperature, fit_temperature
from bridge_tf.evaluation.dee import deep_ensemble_equivalent
from bridge_tf.evaluation.metrics import (
    accuracy,
    adaptive_calibration_error,
    agreement,
    area_under_risk_coverage,
    brier,
    disagreement,
    ensemble_log_probs,
    expected_calibration_error,
    kl_divergence,
    nll,
)
from bridge_tf.evaluation.ood_detection import ood_detection
from bridge_tf.evaluation.scores import evaluate, score
from bridge_tf.networks.flops import count_flops, count_params

__all__ = [
    "accuracy",
    "adaptive_calibration_error",
    "agreement",
    "apply_temperature",
    "area_under_risk_coverage",
    "brier",
    "count_flops",
    "count_params",
    "deep_ensemble_equivalent",
    "disagreement",
    "ensemble_log_probs",
    "evaluate",
    "expected_calibration_error",
    "fit_temperature",
    "kl_divergence",
    "nll",
    "ood_detection",
    "score",
]
