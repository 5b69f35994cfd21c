"""The row of a comparison to choose for a budget, by the validation images alone."""

from collections.abc import Mapping, Sequence

import numpy as np

from bridge_tf.evaluation.bootstrap import interval
from bridge_tf.evaluation.calibration import apply_temperature, fit_temperature

_FLOAT32 = 4  # bytes
_SHOWN = ("relative_flops", "relative_params", "accuracy", "calibrated_nll", "dee")


def halves(images: int) -> list[list[np.ndarray]]:
    """Two halves of the images 0…images-1, parted by a seed: [one, the other], both ways."""
    parts = np.array_split(np.random.default_rng(0).permutation(images), 2)
    return [parts, parts[::-1]]


def held_out_nll(log_probs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The calibrated NLL of each image, N, none of which its own temperature was fitted on.

    The images are parted at random into two halves, the same for all predictors. Each half has the
    temperature of the other.

    Args:
        log_probs: N×classes, of the validation split.
        labels: N.
    """
    found = np.empty(len(labels))
    for half, other in halves(len(labels)):
        # Of a single image one half is empty.
        temperature = fit_temperature(log_probs[other], labels[other]) if len(other) else 1.0
        found[half] = -apply_temperature(log_probs[half], temperature)[
            np.arange(len(half)), labels[half]
        ]
    return found


def recommend(
    rows: Sequence[dict],
    held_out: Mapping[str, np.ndarray],
    counts: np.ndarray,
    budget: Mapping[str, float],
    params: int,
    runs: np.ndarray | None = None,
) -> dict:
    """The row to choose: `recommendation` of report.json.

    Of the rows within the budget, the one with the lowest mean of `held_out_nll`; but a cheaper one
    if the 95 % interval of its difference to that, paired over resamples of validation images,
    holds 0. Of several such rows, the cheapest. A row that isn't better than all cheaper ones is
    never chosen, however wide its interval. FLOPs are averages, compared to two decimals.

    Args:
        rows: of report.json, with their intervals.
        held_out: by a row's name, its `held_out_nll`, N, or those of several runs, runs×N. Rows
            without can't be chosen.
        counts: how often a resample holds each validation image, resamples×N.
        budget: the highest "flops", "worst_flops" and "params", relative to one network, and
            "bytes" of float32 weights; what is left out has no limit.
        params: of one network.
        runs: with several runs, how often a resample holds each, resamples×runs; default: once.

    Returns:
        "name", or None if no row is within the "budget"; is_bridge_ensemble; validation_nll; the
        "best" row on validation images and the interval of the "difference" to it; what counts for
        the budget, "average_flops" and "bytes"; and figures of the row on the test split.
    """
    within = [row for row in rows if row["name"] in held_out and _fits(costs(row, params), budget)]
    if not within:
        return {"name": None, "budget": dict(budget)}

    def mean(row: dict) -> float:
        return float(held_out[row["name"]].mean())

    best, lowest = min(within, key=mean), np.inf
    # Cascades cost a little less than their limit, by chance; that makes none the cheaper one.
    cheapest_first = sorted(
        within, key=lambda row: (round(costs(row, params)["flops"], 2), mean(row))
    )
    for row in cheapest_first:
        if mean(row) >= lowest:
            continue
        lowest = mean(row)
        lead = held_out[row["name"]] - held_out[best["name"]]
        of_runs = np.atleast_2d(lead) @ counts.T / lead.shape[-1]
        weights = np.ones_like(of_runs) if runs is None else runs.T
        difference = interval((weights * of_runs).mean(axis=0))
        if row is best or (difference and difference[0] <= 0):
            break
    return {
        "name": row["name"],
        "budget": dict(budget),
        "is_bridge_ensemble": row["method"] == "bridge",
        "validation_nll": mean(row),
        "best": best["name"],
        "difference": difference,
        "average_flops": costs(row, params)["flops"],
        "bytes": costs(row, params)["bytes"],
        **{key: row[key] for key in _SHOWN},
        "intervals": row["intervals"],
    }


def costs(row: dict, params: int) -> dict[str, float]:
    """What a row costs, by the names of a budget; a cascade's average is of validation images."""
    return {
        "flops": row.get("average_flops_validation", row["relative_flops"]),
        "worst_flops": row.get("worst_relative_flops", row["relative_flops"]),
        "params": row["relative_params"],
        "bytes": round(row["relative_params"] * params) * _FLOAT32,
    }


def _fits(cost: Mapping[str, float], budget: Mapping[str, float]) -> bool:
    # Ratios are rounded.
    return all(cost[key] <= limit * (1 + 1e-9) for key, limit in budget.items())
