"""Out-of-distribution detection: images of other data are told by the confidence on them."""

import numpy as np


def ood_detection(log_probs, other_log_probs) -> dict[str, float]:
    """How well confidence detects images from outside the distribution.

    The score is the largest probability (Hendrycks and Gimpel, ICLR 2017), of an ensemble that of
    the mean, before temperature scaling. The predictor's own test images are the positive class.

    Args:
        log_probs: of its own test images, N×classes.
        other_log_probs: of the others, M×classes.

    Returns:
        "auroc": area under the receiver operating characteristic, in [0, 1]: the chance that the
        score of one of its own images is above that of one of the others, ties halved. "fpr95":
        the share of the others that pass the highest threshold that at least 95 % of its own pass,
        in [0, 1]; lower is better.
    """
    from sklearn.metrics import roc_auc_score, roc_curve

    own, others = (np.asarray(array, "float64") for array in (log_probs, other_log_probs))
    if own.ndim != 2 or others.shape[1:] != own.shape[1:] or not len(own) or not len(others):
        raise ValueError(
            f"needs N×classes and M×classes. Received: shapes={own.shape}, {others.shape}"
        )
    # Not their exponentials: the highest would be equal.
    scores = np.concatenate([own.max(axis=1), others.max(axis=1)])
    positive = np.arange(len(scores)) < len(own)
    false, true, _ = roc_curve(positive, scores, drop_intermediate=False)
    return {
        "auroc": float(roc_auc_score(positive, scores)),
        "fpr95": float(false[np.argmax(true >= 0.95)]),
    }
