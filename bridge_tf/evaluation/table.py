"""The rows of a comparison: ways of ensembling, their quality and their cost."""

from collections.abc import Mapping, Sequence

import numpy as np

from bridge_tf.ensembles.bridge_ensemble import BridgeEnsemble
from bridge_tf.evaluation import metrics
from bridge_tf.evaluation.bootstrap import Resamples
from bridge_tf.evaluation.dee import deep_ensemble_equivalent
from bridge_tf.evaluation.intervals import add_intervals
from bridge_tf.evaluation.recommendation import held_out_nll, recommend
from bridge_tf.evaluation.scores import score
from bridge_tf.networks.flops import count_flops, count_params


class Table:
    """Collects the rows of a comparison, one for each way of ensembling.

    They are "ensembles" of report.json.

    Args:
        base: the network to which costs are relative.

    Attributes:
        rows: JSON data, in the order of adding.
        resamples: of the images of both splits.
        resampled: by a row's name, its figures in each resample, for its intervals.
        held_out: by a row's name, its calibrated NLL of each validation image, of temperatures that
            were fitted on others.
    """

    def __init__(self, base, test_labels: np.ndarray, validation_labels: np.ndarray):
        self.base = base
        self.flops, self.params = count_flops(base), count_params(base)
        self.labels = test_labels, validation_labels
        self._costs = {1: (self.flops, self.params)}
        self.rows: list[dict] = []
        self.resamples = Resamples(self.labels)
        self.resampled: dict[str, dict[str, np.ndarray]] = {}
        self.held_out: dict[str, np.ndarray] = {}

    def add(
        self, name: str, method: str, graph, members: Sequence[Sequence[np.ndarray]]
    ) -> tuple[dict, np.ndarray, np.ndarray]:
        """Adds a row.

        Args:
            graph: the model that inference executes, whose FLOPs and parameters are counted, or
                the number of networks like the base, each executed in full.
            members: for each member, log-probabilities on test and validation split, N×classes.

        Returns:
            The row, and the ensemble's log-probabilities on test and validation split.
        """
        test, validation = map(metrics.ensemble_log_probs, zip(*members, strict=True))
        figures = score(test, self.labels[0], validation, self.labels[1])
        flops, params = self._cost(graph)
        row = {
            "name": name,
            "method": method,
            "size": len(members),
            "relative_flops": flops / self.flops,
            "worst_relative_flops": flops / self.flops,
            "relative_params": params / self.params,
            **figures,
            "disagreement": metrics.disagreement([member[0] for member in members]),
        }
        self.rows.append(row)
        self.resampled[name] = self.resamples.figures(test, validation, row["temperature"])
        self.held_out[name] = held_out_nll(validation, self.labels[1])
        return row, test, validation

    def _cost(self, graph) -> tuple[int, int]:
        """FLOPs and parameters; those of so many networks are counted once."""
        if not isinstance(graph, int):
            return count_flops(graph), count_params(graph)
        if graph not in self._costs:
            networks = BridgeEnsemble(self.base, [], [self.base] * (graph - 1))
            self._costs[graph] = count_flops(networks), count_params(networks)
        return self._costs[graph]

    def add_equivalents(self, yardstick: Sequence[float], resampled: np.ndarray) -> None:
        """Adds DEE and intervals to all rows, after all rows were added.

        Args:
            yardstick: calibrated NLL of deep ensembles of size 1, 2, ….
            resampled: the same in each of `resamples`, sizes×resamples.
        """
        for row in self.rows:
            row["dee"], row["dee_extrapolated"] = deep_ensemble_equivalent(
                row["calibrated_nll"], yardstick
            )
        add_intervals(self.rows, self.resampled, resampled)

    def recommend(self, budget: Mapping[str, float]) -> dict:
        """The row to choose for a budget, after intervals were added; see `recommend`."""
        counts = self.resamples.counts[1]
        return recommend(self.rows, self.held_out, counts, budget, self.params)
