"""The cascades of a run: rows of modes and bridges that are trained anyway."""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from bridge_tf.evaluation import metrics
from bridge_tf.evaluation.cascade import Cascade, cascade_curve, fit_cascade
from bridge_tf.evaluation.scores import both_scores
from bridge_tf.runs.rows import cascade_pairs, executed_modes


@dataclasses.dataclass(frozen=True)
class Stages:
    """A cascade and the members that its stages average, named as in `Predictions`."""

    cascade: Cascade
    first: Sequence[tuple]
    second: Sequence[tuple]

    def predict(
        self, by_member: Mapping[tuple, np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What `Cascade.predict` gives, from members' log-probabilities, N×classes."""
        return self.cascade.predict(
            [
                metrics.ensemble_log_probs([by_member[member] for member in members])
                for members in (self.first, self.second)
            ]
        )


def add_cascades(run, predictions, table, members_of: list, costs) -> list[dict]:
    """Adds the rows of cascades to a table, and what they predict with to `members_of`.

    A row is left out if its first stage alone costs more than `average_cost`.

    Args:
        predictions: the run's `Predictions`.
        table: the `Table` of all other rows; `members_of` are these rows' members.
        costs: the run's `TrainingCosts`.

    Returns:
        "cascades" of report.json: the curve of quality over average cost of each cascade.
    """
    rows = {
        row["name"]: (row, members) for row, members in zip(table.rows, members_of, strict=True)
    }
    labels, curves = table.labels[0], []
    others = {name: (row["method"], members) for name, (row, members) in rows.items()}
    for name, first, second in cascade_pairs(others, len(predictions.models)):
        stages = [predictions.of_ensemble(rows[stage][1]) for stage in (first, second)]
        test, (validation, _) = zip(*stages, strict=True)
        flops, params = (_of_both(rows, first, second, key) for key in ("flops", "params"))
        temperatures = rows[first][0]["temperature"], rows[second][0]["temperature"]
        fitted = temperatures, (rows[first][0]["relative_flops"], flops)
        points = cascade_curve(Cascade(*fitted), test, labels, validation)
        curves.append({"name": name, "points": points})
        cascade = fit_cascade(validation, *fitted, run.config.average_cost)
        if cascade is None:
            continue
        raw, calibrated, goes_on = cascade.predict(test)
        members = list(dict.fromkeys([*rows[first][1], *rows[second][1]]))
        table.rows.append(
            {
                "name": name,
                "method": name.rpartition("_")[0],
                "size": len(members),
                "relative_flops": cascade.average_flops(goes_on),
                "worst_relative_flops": flops,
                "average_flops_validation": cascade.average_flops(cascade.goes_on(validation)),
                "threshold": cascade.threshold,
                "share_going_on": float(goes_on.mean()),
                "relative_params": params,
                "temperature": temperatures[0],
                **both_scores(raw, calibrated, labels),
                "training_cost": costs.of(members, flops),
            }
        )
        of_stages = [
            (*log_probs, temperature)
            for log_probs, temperature in zip(stages, temperatures, strict=True)
        ]
        table.resampled[name] = table.resamples.cascade_figures(of_stages, goes_on)
        held_out = [table.held_out[stage] for stage in (second, first)]
        table.held_out[name] = np.where(cascade.goes_on(validation), *held_out)
        members_of.append(Stages(cascade, rows[first][1], rows[second][1]))
    return curves


def _of_both(rows: Mapping[str, tuple], first: str, second: str, key: str) -> float:
    """FLOPs or parameters of both stages, of which the modes of the first are counted once."""
    modes = executed_modes(rows[first][1])
    reused = ["single" if modes == 1 else f"deep_ensemble_{modes}"] * (modes > 0)
    costs = [rows[name][0][f"relative_{key}"] for name in (first, second, *reused)]
    return sum(costs[:2]) - sum(costs[2:])
