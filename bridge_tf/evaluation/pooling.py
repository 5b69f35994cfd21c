"""Runs of several seeds in one comparison, measured on the same images.

A row's figures are means over runs. Two things make them chance: the seeds, seen as the standard
error over runs, and the images, seen by the paired bootstrap of `bootstrap`: each resample of
images is applied to all runs and averaged over them. Intervals of both draw, in each resample, as
many runs as there are, with replacement, and one resample of the images for all of them: the
pigeonhole bootstrap (Owen, Annals of Applied Statistics, 2007), here of runs × images.

Of R runs, what is resampled varies (R - 1) / R as much as runs do: with few runs the intervals are
too narrow.
"""

import copy
import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from bridge_tf.evaluation.bootstrap import Resamples, drawn, interval
from bridge_tf.evaluation.dee import deep_ensemble_equivalent
from bridge_tf.evaluation.intervals import add_intervals
from bridge_tf.evaluation.recommendation import recommend

# Of which means are taken, if all runs have them.
_MEANS = (
    *("accuracy", "nll", "brier", "ece", "adaptive_ece"),
    *("calibrated_nll", "calibrated_brier", "calibrated_ece", "calibrated_adaptive_ece"),
    *("relative_flops", "worst_relative_flops", "relative_params", "training_cost"),
    *("average_flops_validation", "share_going_on"),
)
_COMPARED = ("accuracy", "calibrated_nll")
_SEED = 1  # another one than that of the images, whose draws these must not follow


@dataclasses.dataclass(frozen=True)
class Resampled:
    """What the comparison of one run has in each resample of images.

    Attributes:
        figures: by a row's name, "accuracy" and "calibrated_nll" in each resample.
        held_out: by a row's name, its `held_out_nll`, N.
        yardstick: calibrated NLL of deep ensembles of size 1, 2, …; sizes×resamples.
        data: digest of the images and labels.
    """

    figures: Mapping[str, Mapping[str, np.ndarray]]
    held_out: Mapping[str, np.ndarray]
    yardstick: np.ndarray
    data: str = ""


class Pool:
    """The comparison of several runs on the same images.

    Args:
        rows: of each run, "ensembles" of its report.json; the first is one network.
        yardsticks: of each run, "yardstick" of its report.json.
        resampled: of each run; all of the same resamples.

    Attributes:
        names: of the rows that all runs have.
        weights: how often a resample holds each run, resamples×runs.
        rows: see `_row`; the intervals in them are over runs and images.
        yardstick: "size", "subsets" of each run, the mean "calibrated_nll", its "standard_error"
            over runs and its "interval" over runs and images.
    """

    def __init__(
        self,
        rows: Sequence[Sequence[dict]],
        yardsticks: Sequence[Sequence[dict]],
        resampled: Sequence[Resampled],
    ):
        self._runs = [
            {row["name"]: row for row in of_run if row["name"] in run.figures}
            for of_run, run in zip(rows, resampled, strict=True)
        ]
        self._resampled, number = resampled, len(rows)
        self.names = [name for name in self._runs[0] if all(name in run for run in self._runs)]
        resamples = resampled[0].yardstick.shape[1]
        self.weights = drawn(np.random.default_rng(_SEED), resamples, number)
        once = np.ones_like(self.weights)
        self.yardstick = self._yardstick(yardsticks)
        self.rows = [self._row(name) for name in self.names]
        of_images = copy.deepcopy(self.rows)
        for found, weights in ((of_images, once), (self.rows, self.weights)):
            add_intervals(found, self.figures(weights), self._of_sizes(weights))
        for row, of_image in zip(self.rows, of_images, strict=True):
            row["of_images"] = {
                key: of_image[key]
                for key in ("intervals", "versus_single", "versus_cheapest")
                if key in of_image
            }
            self._add_differences(row)

    @property
    def left_out(self) -> dict[str, list[int]]:
        """The rows that not all runs have, and the numbers of the runs that have them."""
        known = dict.fromkeys(name for run in self._runs for name in run)
        return {
            name: [k for k, run in enumerate(self._runs) if name in run]
            for name in known
            if name not in self.names
        }

    def recommend(self, budget: Mapping[str, float], images: int, params: int) -> dict:
        """The row to choose: `recommend`, by means over runs, and over resamples of runs too.

        Args:
            budget, params: as for `recommend`.
            images: of the test split.
        """
        held_out = {
            name: np.array([run.held_out[name] for run in self._resampled]) for name in self.names
        }
        validation = held_out[self.names[0]].shape[1]
        # The same that the figures of the runs are of.
        labels = [np.zeros(number, int) for number in (images, validation)]
        counts = Resamples(labels, len(self.weights)).counts[1]
        return recommend(self.rows, held_out, counts, budget, params, self.weights)

    def _row(self, name: str) -> dict:
        """A row: means over runs, "standard_errors" of them, and "values" of each run.

        The DEE is that of the mean calibrated NLL, by the mean yardstick. Its standard error is
        that of each run's calibrated NLL by the mean yardstick; None if one has none.
        """
        of_runs = [run[name] for run in self._runs]
        sizes = [size["calibrated_nll"] for size in self.yardstick]
        values = {
            key: [row[key] for row in of_runs]
            for key in _MEANS
            if all(row.get(key) is not None for row in of_runs)
        }
        row = {key: of_runs[0][key] for key in ("name", "method", "size")}
        row |= {key: float(np.mean(found)) for key, found in values.items()}
        row["dee"], row["dee_extrapolated"] = deep_ensemble_equivalent(row["calibrated_nll"], sizes)
        values["dee"] = [deep_ensemble_equivalent(x, sizes)[0] for x in values["calibrated_nll"]]
        row["standard_errors"] = {key: standard_error(found) for key, found in values.items()}
        row["values"] = {key: values[key] for key in (*_COMPARED, "dee")}
        return row

    def _add_differences(self, row: dict) -> None:
        """Adds "mean", "standard_error" and "values" of each run to the row's differences."""
        for key, other in (
            ("versus_single", self.names[0]),
            ("versus_cheapest", row.get("versus_cheapest", {}).get("name")),
        ):
            if key not in row:
                continue
            values = {
                kind: [run[row["name"]][kind] - run[other][kind] for run in self._runs]
                for kind in _COMPARED
            }
            row[key]["values"] = values
            row[key]["mean"] = {kind: float(np.mean(found)) for kind, found in values.items()}
            row[key]["standard_error"] = {
                kind: standard_error(found) for kind, found in values.items()
            }

    def _yardstick(self, yardsticks: Sequence[Sequence[dict]]) -> list[dict]:
        ends = [interval(values) for values in self._of_sizes(self.weights)]
        found = []
        for sizes, of_size in zip(zip(*yardsticks, strict=True), ends, strict=True):
            values = [size["calibrated_nll"] for size in sizes]
            found.append(
                {
                    "size": sizes[0]["size"],
                    "subsets": sizes[0]["subsets"],
                    "calibrated_nll": float(np.mean(values)),
                    "standard_error": standard_error(values),
                    "interval": of_size,
                }
            )
        return found

    def figures(self, weights: np.ndarray) -> dict[str, dict[str, np.ndarray]]:
        """By a row's name, its figures in each resample, averaged over the runs in it.

        Args:
            weights: how often a resample holds each run, resamples×runs.
        """
        return {
            name: {
                key: _average([run.figures[name][key] for run in self._resampled], weights)
                for key in _COMPARED
            }
            for name in self.names
        }

    def _of_sizes(self, weights: np.ndarray) -> np.ndarray:
        """The mean yardstick in each resample, sizes×resamples."""
        return _average([run.yardstick for run in self._resampled], weights)


def standard_error(values: Sequence[float | None]) -> float | None:
    """The standard error of the mean of two values or more; None if one is missing."""
    if any(value is None for value in values):
        return None
    return float(np.std(values, ddof=1) / np.sqrt(len(values)))


def _average(of_runs: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """The mean over the runs that a resample holds; …×resamples from a list of such."""
    number = weights.shape[1]
    return sum(weights[:, k] * values for k, values in enumerate(of_runs)) / number
