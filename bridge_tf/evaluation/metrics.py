"""Metrics of predicted probabilities, from their logarithms and in double precision.

`log_probs` is N×classes, natural logarithms of probabilities that sum to 1; `labels` is N, integers
0…classes-1. Figures are fractions (not per cent) or nats.
"""

import numpy as np

BINS = 15


def ensemble_log_probs(member_log_probs) -> np.ndarray:
    """Log of the mean of the members' probabilities, N×classes, from members×N×classes."""
    from scipy.special import logsumexp

    members = _checked_members(member_log_probs)
    return logsumexp(members, axis=0) - np.log(len(members))


def accuracy(log_probs, labels) -> float:
    """Share of images whose top class is the label, in [0, 1]."""
    return float(np.mean(_top(log_probs, labels)[1]))


def nll(log_probs, labels) -> float:
    """Mean negative log-likelihood of the labels, nats, ≥ 0."""
    log_probs, labels = _checked(log_probs, labels)
    return float(-log_probs[np.arange(len(labels)), labels].mean())


def brier(log_probs, labels) -> float:
    """Mean over images of the squared error, summed over classes, in [0, 2] (Brier, 1950)."""
    log_probs, labels = _checked(log_probs, labels)
    truth = np.eye(log_probs.shape[1])[labels]
    return float(np.square(np.exp(log_probs) - truth).sum(axis=1).mean())


def expected_calibration_error(log_probs, labels, bins: int = BINS) -> float:
    """Expected calibration error of the top class (Guo et al., ICML 2017, equation 3), in [0, 1].

    Equal-width bins (k/bins, (k+1)/bins] of the top probability; the mean over bins, weighted by
    their images, of |accuracy - mean probability|.
    """
    confidence, correct, index = _binned(log_probs, labels, bins)
    gaps = np.bincount(index, weights=correct - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(correct))


def confidence_bins(log_probs, labels, bins: int = BINS) -> list[dict]:
    """The bins of a reliability diagram (Guo et al., ICML 2017, section 2), empty ones left out.

    Returns:
        A dict for each bin of `expected_calibration_error`: "bin" 0…bins-1, "images", their mean
        "confidence" and "accuracy" in [0, 1].
    """
    confidence, correct, index = _binned(log_probs, labels, bins)
    return [
        {
            "bin": int(k),
            "images": int((index == k).sum()),
            "confidence": float(confidence[index == k].mean()),
            "accuracy": float(correct[index == k].mean()),
        }
        for k in np.unique(index)
    ]


def adaptive_calibration_error(log_probs, labels, bins: int = BINS) -> float:
    """Calibration error of the top class in bins of equally many images, in [0, 1].

    Like `expected_calibration_error`, but images are binned by the rank of their top probability
    (Nguyen and O'Connor, EMNLP 2015, section 3; Nixon et al., CVPR workshops 2019), so that a few
    images in wide bins don't dominate. The sizes of bins differ by at most one image. With fewer
    images than bins, each image has its own bin. Images with equal top probabilities, whose order
    is arbitrary, each count with their mean accuracy.
    """
    confidence, correct = _top(log_probs, labels)
    number = len(correct)
    _, place, count = np.unique(confidence, return_inverse=True, return_counts=True)
    correct = (np.bincount(place, weights=correct) / count)[place]
    index = np.empty(number, int)
    index[np.argsort(confidence, kind="stable")] = np.arange(number) * bins // number
    gaps = np.bincount(index, weights=correct - np.exp(confidence))
    return float(np.abs(gaps).sum() / number)


def area_under_risk_coverage(log_probs, labels) -> float:
    """Area under the risk-coverage curve (Geifman et al., ICLR 2019, section 2), in [0, 1].

    The mean over images of the share of errors among all images with at least the same top
    probability. It measures how well confidence separates wrong predictions from right ones. With a
    share e of errors, it is about e if confidence is uninformative. The minimum, about
    e + (1 - e) log(1 - e), is reached if every error is less confident than every right prediction.
    """
    confidence, correct = _top(log_probs, labels)
    _, place, count = np.unique(-confidence, return_inverse=True, return_counts=True)
    risks = np.cumsum(np.bincount(place, weights=~correct)) / np.cumsum(count)
    return float((risks * count).sum() / len(correct))


def disagreement(member_log_probs) -> float | None:
    """Share of images on which two members predict different classes, in [0, 1], over all pairs.

    The shape is members×N×classes; None for one member.
    """
    from scipy.spatial.distance import pdist

    members = _checked_members(member_log_probs)
    return float(pdist(members.argmax(axis=2), "hamming").mean()) if len(members) > 1 else None


def kl_divergence(log_p, log_q) -> float:
    """Mean over images of KL(p || q) = Σ p (log p - log q), nats, ≥ 0."""
    log_p, log_q = _checked_pair(log_p, log_q)
    p = np.exp(log_p)
    # 0 · log 0 is zero if a probability underflows, for any q.
    difference = np.subtract(log_p, log_q, out=np.zeros_like(p), where=p > 0)
    return float((p * difference).sum(axis=1).mean())


def agreement(log_p, log_q) -> float:
    """Share of images with equal top classes, in [0, 1]."""
    log_p, log_q = _checked_pair(log_p, log_q)
    return float(np.mean(log_p.argmax(axis=1) == log_q.argmax(axis=1)))


def _top(log_probs, labels) -> tuple[np.ndarray, np.ndarray]:
    """The logarithms of the top probabilities, and whether their classes are the labels; N each."""
    log_probs, labels = _checked(log_probs, labels)
    return log_probs.max(axis=1), log_probs.argmax(axis=1) == labels


def _binned(log_probs, labels, bins: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Top probabilities, whether their classes are the labels, and their bins, 0…bins-1."""
    log_confidence, correct = _top(log_probs, labels)
    confidence = np.exp(log_confidence)
    index = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    return confidence, correct, index


def _checked_members(member_log_probs) -> np.ndarray:
    members = np.asarray(member_log_probs, "float64")
    if members.ndim != 3 or not len(members):
        raise ValueError(f"needs members×N×classes. Received: shape={members.shape}")
    return members


def _checked_pair(log_p, log_q) -> tuple[np.ndarray, np.ndarray]:
    log_p, log_q = (np.asarray(x, "float64") for x in (log_p, log_q))
    if log_p.shape != log_q.shape or log_p.ndim != 2 or not len(log_p):
        raise ValueError(
            f"needs two N×classes, N ≥ 1. Received: shapes={log_p.shape}, {log_q.shape}"
        )
    return log_p, log_q


def _checked(log_probs, labels) -> tuple[np.ndarray, np.ndarray]:
    log_probs, labels = np.asarray(log_probs, "float64"), np.asarray(labels)
    if log_probs.ndim != 2 or labels.shape != log_probs.shape[:1] or not len(labels):
        raise ValueError(
            "needs log_probs N×classes and labels N, N ≥ 1. "
            f"Received: shapes={log_probs.shape}, {labels.shape}"
        )
    if labels.min() < 0 or labels.max() >= log_probs.shape[1]:
        raise ValueError(
            f"labels must lie in 0…{log_probs.shape[1] - 1}. "
            f"Received: {labels.min()}…{labels.max()}"
        )
    return log_probs, labels
