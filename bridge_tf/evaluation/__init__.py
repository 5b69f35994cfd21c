"""Metrics, temperature scaling, deep-ensemble equivalents and cost, for use without a run."""

import lazy_loader

# Imported on first use, since processes that time exported files need neither Keras nor TensorFlow.
__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "calibration": ["apply_temperature", "fit_temperature"],
        "conformal": ["PredictionSets", "fit_sets", "measure_sets"],
        "dee": ["deep_ensemble_equivalent"],
        "metrics": [
            "accuracy",
            "adaptive_calibration_error",
            "agreement",
            "area_under_risk_coverage",
            "brier",
            "disagreement",
            "ensemble_log_probs",
            "expected_calibration_error",
            "kl_divergence",
            "nll",
        ],
        "ood": ["ood_detection"],
        "scores": ["calibrate", "evaluate", "fit_prediction_sets", "score"],
    },
)
