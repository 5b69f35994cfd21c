"""The rows of cascades, of made-up members, compared with a plain loop over images."""

import types

import numpy as np
import pytest

from bridge_tf.evaluation import apply_temperature, ensemble_log_probs, nll, score
from bridge_tf.evaluation.bootstrap import Resamples
from bridge_tf.evaluation.recommendation import held_out_nll
from bridge_tf.runs.stages.evaluate.cascade_rows import add_cascades

LABELS = [np.random.default_rng(k).integers(0, 3, images) for k, images in enumerate((80, 50))]


class Made:
    """Predictions of members, a table of all rows but those of cascades, and a run."""

    def __init__(self, bridge_type: int = 1, average_cost: float = 1.25, num_modes: int = 3):
        self.models = [None] * num_modes
        self.log_probs, self.labels, self.rows, self.members_of = {}, LABELS, [], []
        self.resamples, self.resampled, self.held_out = Resamples(LABELS, 30), {}, {}
        self.config = types.SimpleNamespace(average_cost=average_cost)
        modes = [("mode", k) for k in range(num_modes)]
        pairs = [(i, j) for j in range(1, num_modes) for i in range(j if bridge_type == 2 else 1)]
        for k, member in enumerate([*modes, *(("bridge", pair, 0.5) for pair in pairs)]):
            generator = np.random.default_rng(10 + k)
            logits = [generator.normal(0, 1, (len(y), 3)) + 2 * np.eye(3)[y] for y in LABELS]
            self.log_probs[member] = [apply_temperature(x, 1.0) for x in logits]
        self.add("single", modes[:1])
        for size in range(2, num_modes + 1):
            self.add("deep_ensemble", modes[:size])
        for k in range(1, len(pairs) + 1):
            executed = max(j for _, j in pairs[:k]) + 1 if bridge_type == 2 else 1
            self.add("bridge", modes[:executed] + [("bridge", p, 0.5) for p in pairs[:k]])

    def add(self, method: str, members: list) -> None:
        executed = sum(member[0] == "mode" for member in members)
        bridges = len(members) - executed
        number = bridges if bridges else len(members)
        test, validation = self.of_ensemble(members)
        name = method if method == "single" else f"{method}_{number}"
        self.held_out[name] = held_out_nll(validation, LABELS[1])
        self.rows.append(
            {
                "name": name,
                "method": method,
                "relative_flops": executed + 0.1 * bridges,
                "relative_params": executed + 0.2 * bridges,
                **score(test, LABELS[0], validation, LABELS[1]),
            }
        )
        self.members_of.append(members)

    def of_ensemble(self, members) -> list:
        found = zip(*(self.log_probs[member] for member in members), strict=True)
        return list(map(ensemble_log_probs, found))

    def of(self, members, flops: float) -> float:
        """What members' trainings cost."""
        return 10.0 * len(members) + flops

    def cascades(self) -> tuple[list[dict], dict[str, dict]]:
        """The curves, and the rows by name."""
        curves = add_cascades(
            self, self, types.SimpleNamespace(**vars(self)), self.members_of, self
        )
        return curves, {row["name"]: row for row in self.rows}

    @property
    def data(self):
        raise AssertionError("cascades need no images")


def test_rows_are_those_of_a_loop_over_images():
    made = Made(average_cost=1.35)
    before = [row["name"] for row in made.rows]
    curves, rows = made.cascades()
    names = ["cascade_2", "cascade_3", "bridge_cascade_1", "bridge_cascade_2"]
    assert [*rows] == before + names and len(made.members_of) == len(rows)
    assert [curve["name"] for curve in curves] == names
    stages_of = {
        "cascade_2": ("single", "deep_ensemble_2", 1.0, 2.0, 2),
        "cascade_3": ("single", "deep_ensemble_3", 1.0, 3.0, 3),
        "bridge_cascade_1": ("bridge_1", "deep_ensemble_3", 1.1, 3.1, 4),
        "bridge_cascade_2": ("bridge_2", "deep_ensemble_3", 1.2, 3.2, 5),
    }
    members_of = dict(zip(rows, made.members_of, strict=True))
    for name, (first, second, once, worst, size) in stages_of.items():
        row = rows[name]
        stages = [made.of_ensemble(members_of[stage]) for stage in (first, second)]
        temperatures = [rows[stage]["temperature"] for stage in (first, second)]
        costs, going_on, raw, calibrated = [], [], [[], []], [[], []]
        for split in range(2):
            going_on.append([])
            for pair in zip(stages[0][split], stages[1][split], strict=True):
                scaled = [
                    apply_temperature(log_probs[None], temperature)[0]
                    for log_probs, temperature in zip(pair, temperatures, strict=True)
                ]
                on = np.float32(np.exp(scaled[0].max())) < row["threshold"]
                going_on[split].append(on)
                raw[split].append(pair[int(on)])
                calibrated[split].append(scaled[int(on)])
            costs.append(np.mean([worst if on else once for on in going_on[split]]))
        held_out = [made.held_out[second if on else first][k] for k, on in enumerate(going_on[1])]
        np.testing.assert_array_equal(made.held_out[name], held_out)
        right = np.argmax(raw[0], axis=1) == LABELS[0]
        expected = [(counts * right).sum() / 80 for counts in made.resamples.counts[0]]
        np.testing.assert_allclose(made.resampled[name]["accuracy"], expected, rtol=1e-12)
        assert row["relative_flops"] == pytest.approx(costs[0], rel=1e-12)
        assert row["average_flops_validation"] == pytest.approx(costs[1], rel=1e-12)
        # One image more wouldn't be within the budget.
        assert 1.35 - (worst - once) / 50 < costs[1] <= 1.35 + 1e-9
        assert row["share_going_on"] == np.mean(going_on[0])
        assert row["worst_relative_flops"] == pytest.approx(worst, rel=1e-12)
        assert row["nll"] == pytest.approx(nll(raw[0], LABELS[0]), rel=1e-12)
        assert row["calibrated_nll"] == pytest.approx(nll(calibrated[0], LABELS[0]), rel=1e-12)
        assert row["accuracy"] == np.mean(np.argmax(raw[0], axis=1) == LABELS[0])
        assert row["temperature"] == temperatures[0]
        assert (row["method"], row["size"]) == (name.rpartition("_")[0], size)
        assert row["training_cost"] == pytest.approx(10 * size + worst)
    assert rows["cascade_3"]["relative_params"] == 3
    assert rows["bridge_cascade_2"]["relative_params"] == pytest.approx(3.4)
    # What the rows keep for other images predicts the same for these.
    of_test = {member: log_probs[0] for member, log_probs in made.log_probs.items()}
    _, again, _ = made.members_of[-1].predict(of_test)
    assert nll(again, LABELS[0]) == rows["bridge_cascade_2"]["calibrated_nll"]


def test_where_the_first_stage_costs_too_much_there_is_a_curve_but_no_row():
    curves, rows = Made(average_cost=1.15).cascades()
    assert [name for name in rows if "cascade" in name] == [
        *("cascade_2", "cascade_3", "bridge_cascade_1")
    ]
    assert curves[-1]["name"] == "bridge_cascade_2"
    assert curves[-1]["points"][-1]["average_flops"] == pytest.approx(3.2)


def test_modes_that_bridges_of_type_2_see_are_not_executed_again():
    curves, rows = Made(bridge_type=2, average_cost=2.5).cascades()
    # Later bridges see all modes, so that none is left to go on to.
    names = ["cascade_2", "cascade_3", "bridge_cascade_1"]
    assert [curve["name"] for curve in curves] == names
    assert rows["bridge_cascade_1"]["worst_relative_flops"] == pytest.approx(3.1)
    assert rows["bridge_cascade_1"]["relative_params"] == pytest.approx(3.2)
    # All images may go on, and do.
    assert rows["cascade_2"]["share_going_on"] == 1 and rows["cascade_2"]["relative_flops"] == 2
    for key in ("nll", "calibrated_nll", "aurc", "calibrated_ece"):
        assert rows["cascade_2"][key] == pytest.approx(rows["deep_ensemble_2"][key], rel=1e-12)
