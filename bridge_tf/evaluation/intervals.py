"""Intervals of the rows of a comparison, and of what is between them, by the paired bootstrap."""

from collections.abc import Mapping, Sequence

import numpy as np

from bridge_tf.evaluation.bootstrap import interval
from bridge_tf.evaluation.dee import deep_ensemble_equivalent

Figures = Mapping[str, np.ndarray]


def add_intervals(
    rows: Sequence[dict], resampled: Mapping[str, Figures], yardstick: np.ndarray
) -> None:
    """Adds 95 % intervals to rows of a comparison.

    Each row gets "intervals" of its accuracy, calibrated NLL and DEE; all rows but the first get
    those of their differences to it, "versus_single"; and all but the best those of their
    differences to `cheapest_as_good`, "versus_cheapest", with that row's name.

    Args:
        rows: as in report.json; the first is one network.
        resampled: by a row's name, its figures in each resample, as `Resamples.figures` has them.
            Rows without are left as they are.
        yardstick: calibrated NLL of deep ensembles in each resample, sizes×resamples. It is
            resampled like the rows, so that intervals of DEE include its own chance.
    """
    known = [row for row in rows if row["name"] in resampled]
    found = {}
    for name in (row["name"] for row in known):
        equivalents = _equivalents(resampled[name]["calibrated_nll"], yardstick)
        found[name] = {**resampled[name], "dee": equivalents}
    for row in known:
        own, single = found[row["name"]], found.get(rows[0]["name"])
        row["intervals"] = {key: interval(values) for key, values in own.items()}
        if single and single is not own:
            row["versus_single"] = _difference(own, single)
        if rival := cheapest_as_good(row, known):
            difference = _difference(own, found[rival["name"]])
            row["versus_cheapest"] = {"name": rival["name"], **difference}


def cheapest_as_good(row: dict, rows: Sequence[dict]) -> dict | None:
    """The other row with the fewest FLOPs among those with no higher calibrated NLL.

    Of equally many FLOPs, the one with fewer parameters, then with the lower calibrated NLL. None
    if `row` alone is best.
    """
    rivals = [x for x in rows if x is not row and x["calibrated_nll"] <= row["calibrated_nll"]]
    keys = ("relative_flops", "relative_params", "calibrated_nll")
    return min(rivals, key=lambda rival: [rival[key] for key in keys], default=None)


def _difference(own: Figures, other: Figures) -> dict:
    return {key: interval(own[key] - other[key]) for key in own}


def _equivalents(calibrated_nll: np.ndarray, yardstick: np.ndarray) -> np.ndarray:
    """The DEE in each resample; NaN where it has none."""
    pairs = zip(calibrated_nll.tolist(), yardstick.T.tolist(), strict=True)
    found = [deep_ensemble_equivalent(value, sizes)[0] for value, sizes in pairs]
    return np.array(found, "float64")  # None becomes NaN
