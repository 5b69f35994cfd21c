"""Out-of-distribution detection by confidence."""

import numpy as np


def ood_detection(log_probs, other_log_probs) -> dict[str, float]:
    """How well confidence detects images from outside the distribution.

    The score is the largest probability before temperature scaling (Hendrycks and Gimpel, ICLR
    2017); for an ensemble, that of the mean. The in-distribution images, N×classes, are the
    positive class; the others are M×classes.

    Returns:
        "auroc": area under the receiver operating characteristic, in [0, 1]: the probability that
        an in-distribution image has a higher score than one of the others; ties count half.
        "fpr95": the share of the others that pass the highest threshold which at least 95 % of the
        in-distribution images pass, in [0, 1]; lower is better.
    """
    from sklearn.metrics import roc_auc_score, roc_curve

    own, others = (np.asarray(array, "float64") for array in (log_probs, other_log_probs))
    if own.ndim != 2 or others.shape[1:] != own.shape[1:] or not len(own) or not len(others):
        raise ValueError(
            f"needs N×classes and M×classes. Received: shapes={own.shape}, {others.shape}"
        )
    # Compare logarithms: after exp, the highest values would be equal.
    scores = np.concatenate([own.max(axis=1), others.max(axis=1)])
    positive = np.arange(len(scores)) < len(own)
    false, true, _ = roc_curve(positive, scores, drop_intermediate=False)
    return {
        "auroc": float(roc_auc_score(positive, scores)),
        "fpr95": float(false[np.argmax(true >= 0.95)]),
    }
