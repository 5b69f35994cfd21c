"""The baselines of a run among its members."""

import functools
from collections.abc import Iterator

import keras

from bridge_tf.config.fields import SUB_ENSEMBLE
from bridge_tf.evaluation.scores import network_predictor
from bridge_tf.runs.rows import baseline_size, sub_ensemble
from bridge_tf.runs.stages.evaluate.sources import Source
from bridge_tf.runs.status import baseline_files, trained_baselines


def baseline_sources(run) -> Iterator[Source]:
    """What the predictions of the trained baselines come from; members are named (NAME, number)."""
    for name in trained_baselines(run):
        if name == SUB_ENSEMBLE:
            members = [(name, k) for k in range(len(baseline_files(run, name)))]
            open_all = functools.partial(sub_ensemble, run)
            yield Source(f"baseline-{name}", [None, *members], open_all)
            continue
        alike = name in ("fge", "packed")
        predictor = network_predictor() if alike else None
        for k, path in enumerate(baseline_files(run, name)):
            # Read once, for its size and its predictions.
            model = functools.cache(functools.partial(run.load, path, keras.Model))
            size = 1 if alike else baseline_size(model())
            members = [(name, k + number) for number in range(size)]
            yield Source(f"baseline-{path.stem}", members, model, predictor)
