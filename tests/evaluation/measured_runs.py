"""Runs of made-up predictions, measured as an evaluation does."""

import types

import numpy as np
from scipy.special import log_softmax

from bridge_tf.evaluation import ensemble_log_probs, score
from bridge_tf.evaluation.bootstrap import Resamples
from bridge_tf.evaluation.dee import deep_ensemble_equivalent, measure_yardstick
from bridge_tf.evaluation.intervals import add_intervals
from bridge_tf.evaluation.pooling import Resampled
from bridge_tf.evaluation.recommendation import held_out_nll

TEST, VALIDATION, CLASSES, MODES = 90, 60, 4, 3
_GENERATOR = np.random.default_rng(0)
LABELS = [_GENERATOR.integers(0, CLASSES, number) for number in (TEST, VALIDATION)]
# Name, method, FLOPs; the numbers of the members, of which those from MODES on are bridges.
ROWS = (
    *(("single", "single", 1.0, (0,)), ("deep_ensemble_2", "deep_ensemble", 2.0, (0, 1))),
    *(("deep_ensemble_3", "deep_ensemble", 3.0, (0, 1, 2)), ("bridge_1", "bridge", 1.1, (0, 3))),
)


def measured(seed: int, resamples: int = 1000) -> types.SimpleNamespace:
    """A run with `rows` and `yardstick` of its report, and what is `resampled`.

    `predictions` are each row's log-probabilities on test and validation split, by its name;
    `modes` are the same of each mode.
    """
    generator = np.random.default_rng(seed)
    members = [[], []]
    for split, labels in enumerate(LABELS):
        shared = generator.normal(0, 1, (len(labels), CLASSES))
        for _ in range(MODES + 1):
            logits = shared + generator.normal(0, 0.7, shared.shape)
            logits[np.arange(len(labels)), labels] += 2.5 + 0.3 * generator.normal()
            members[split].append(log_softmax(1.5 * logits, axis=1))
    drawn = Resamples(LABELS, resamples)
    modes = list(zip(*(of_split[:MODES] for of_split in members), strict=True))
    sizes, yardstick = measure_yardstick(modes, drawn)
    rows, predictions, figures, held_out = [], {}, {}, {}
    for name, method, flops, which in ROWS:
        test, validation = (ensemble_log_probs([of[k] for k in which]) for of in members)
        row = {"name": name, "method": method, "size": len(which), "relative_flops": flops}
        row |= {"worst_relative_flops": flops, "relative_params": flops}
        row |= {"training_cost": flops + seed, **score(test, LABELS[0], validation, LABELS[1])}
        values = [size["calibrated_nll"] for size in sizes]
        row["dee"], row["dee_extrapolated"] = deep_ensemble_equivalent(
            row["calibrated_nll"], values
        )
        rows.append(row)
        predictions[name] = test, validation
        figures[name] = drawn.figures(test, validation, row["temperature"])
        held_out[name] = held_out_nll(validation, LABELS[1])
    add_intervals(rows, figures, yardstick)
    return types.SimpleNamespace(
        rows=rows,
        yardstick=sizes,
        resampled=Resampled(figures, held_out, yardstick, "digest"),
        predictions=predictions,
        modes=modes,
    )
