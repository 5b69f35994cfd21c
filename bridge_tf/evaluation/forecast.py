"""What two networks gain over one, by validation images alone: what to expect of more.

Nothing is measured on images that it was fitted on: the images are parted into two halves, and a
temperature or a cascade's threshold that is fitted on one half is measured on the other.
"""

from collections.abc import Sequence

import numpy as np

from bridge_tf.evaluation.bootstrap import RESAMPLES, drawn, interval
from bridge_tf.evaluation.calibration import fit_temperature
from bridge_tf.evaluation.cascade import fit_cascade
from bridge_tf.evaluation.metrics import ensemble_log_probs
from bridge_tf.evaluation.recommendation import halves, held_out_nll

_FLOPS = 1.0, 2.0  # of the base, and of both networks


def forecast(modes: Sequence[np.ndarray], labels: np.ndarray, average_cost: float) -> dict:
    """What two networks gain over one, and a cascade of them over the base.

    Args:
        modes: log-probabilities of two networks, the base first, N×classes, of validation images.
        labels: N, two or more.
        average_cost: the highest mean cost of an image in the cascade, relative to one network's,
            above 1.

    Returns:
        "images"; "one" (the mean of both networks), "two" (their ensemble), "base" and "cascade"
        (the base, then both where it is unsure), each with "relative_flops", "accuracy" and
        "calibrated_nll"; and the gains "two_over_one" and "cascade_over_base", each with "gain" and
        "interval" of the accuracy and of the calibrated NLL, above 0 where the first is better.
        Intervals are of 95 %, paired, over resamples of the images.
    """
    both = ensemble_log_probs(modes)
    of_modes = [_figures(log_probs, labels) for log_probs in modes]
    one = {key: (of_modes[0][key] + of_modes[1][key]) / 2 for key in of_modes[0]}
    two = _figures(both, labels)
    cascade, flops = _cascade(modes[0], both, labels, average_cost)
    counts = drawn(np.random.default_rng(0), RESAMPLES, len(labels))
    return {
        "images": len(labels),
        "average_cost": average_cost,
        "one": _means(one, _FLOPS[0]),
        "two": _means(two, _FLOPS[1]),
        "base": _means(of_modes[0], _FLOPS[0]),
        "cascade": _means(cascade, flops),
        "two_over_one": _gain(two, one, counts),
        "cascade_over_base": _gain(cascade, of_modes[0], counts),
    }


def _figures(log_probs: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Whether each image is right, and its calibrated NLL; N each."""
    right = (log_probs.argmax(axis=1) == labels).astype("float64")
    return {"accuracy": right, "calibrated_nll": held_out_nll(log_probs, labels)}


def _cascade(
    base: np.ndarray, both: np.ndarray, labels: np.ndarray, average_cost: float
) -> tuple[dict[str, np.ndarray], float]:
    """The figures of each image in the cascade of the other half, and the mean cost."""
    right, nll, flops = (np.empty(len(labels)) for _ in range(3))
    for half, other in halves(len(labels)):
        first, second = (fit_temperature(x[other], labels[other]) for x in (base, both))
        cascade = fit_cascade(base[other], (first, second), _FLOPS, average_cost)
        raw, calibrated, goes_on = cascade.predict([base[half], both[half]])
        right[half] = raw.argmax(axis=1) == labels[half]
        nll[half] = -calibrated[np.arange(len(half)), labels[half]]
        flops[half] = np.where(goes_on, _FLOPS[1], _FLOPS[0])
    return {"accuracy": right, "calibrated_nll": nll}, float(flops.mean())


def _means(figures: dict[str, np.ndarray], flops: float) -> dict[str, float]:
    return {"relative_flops": flops, **{key: float(x.mean()) for key, x in figures.items()}}


def _gain(better: dict, worse: dict, counts: np.ndarray) -> dict[str, dict]:
    """How much higher the accuracy and how much lower the NLL is, with intervals."""
    leads = {
        "accuracy": better["accuracy"] - worse["accuracy"],
        "calibrated_nll": worse["calibrated_nll"] - better["calibrated_nll"],
    }
    return {
        "gain": {key: float(lead.mean()) for key, lead in leads.items()},
        "interval": {key: interval(counts @ lead / len(lead)) for key, lead in leads.items()},
    }
