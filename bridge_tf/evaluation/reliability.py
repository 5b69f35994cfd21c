"""Confidence and accuracy of predictions, in the bins of a reliability diagram."""

import numpy as np

BINS = 15


def confidence_bins(log_probs, labels, bins: int = BINS) -> list[dict]:
    """The bins of a reliability diagram (Guo et al., ICML 2017, section 2), empty ones left out.

    Args:
        log_probs: N×classes.
        labels: N.
        bins: of equal width, as in `expected_calibration_error`.

    Returns:
        A dict a bin: "bin" 0…bins-1, "images", their mean "confidence" and "accuracy" in [0, 1].
    """
    log_probs, labels = np.asarray(log_probs, "float64"), np.asarray(labels)
    confidence = np.exp(log_probs.max(axis=1))
    correct = log_probs.argmax(axis=1) == labels
    index = bin_of(confidence, bins)
    return [
        {
            "bin": int(k),
            "images": int((index == k).sum()),
            "confidence": float(confidence[index == k].mean()),
            "accuracy": float(correct[index == k].mean()),
        }
        for k in np.unique(index)
    ]


def bin_of(confidence, bins: int) -> np.ndarray:
    """The bin of each top probability, 0…bins-1."""
    return np.clip(np.ceil(np.asarray(confidence) * bins).astype(int) - 1, 0, bins - 1)
