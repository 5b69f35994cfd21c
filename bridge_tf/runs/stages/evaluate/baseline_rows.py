"""The baselines of a run among its members and rows."""

import functools
from collections.abc import Iterator

import keras

from bridge_tf.config.fields import SINGLE_NETWORKS
from bridge_tf.evaluation.scores import network_predictor
from bridge_tf.runs.stages.evaluate.sources import Source
from bridge_tf.runs.status import baseline_files, trained_baselines


def baseline_sources(run) -> Iterator[Source]:
    """What the predictions of the trained baselines come from; members are named (NAME, number)."""
    for name in trained_baselines(run):
        predictor = network_predictor() if name == "fge" else None
        for k, path in enumerate(baseline_files(run, name)):
            # Read once, for its size and its predictions.
            model = functools.cache(functools.partial(run.load, path, keras.Model))
            size = 1 if name == "fge" else baseline_size(model())
            members = [(name, k + number) for number in range(size)]
            yield Source(f"baseline-{path.stem}", members, model, predictor)


def baseline_size(model) -> int:
    """How many members a baseline's model has: those of its output, or one."""
    if isinstance(model.output, dict):
        return model.output["log_probabilities"].shape[1]
    return 1


def baseline_rows(run) -> Iterator[tuple]:
    """(method, name, what is executed, its members) of each row, as `Table.add` takes them."""
    for name in trained_baselines(run):
        files = baseline_files(run, name)
        if name == "fge":
            # The trained network that the cycles begin with, and those at their ends.
            members = [("mode", 0), *((name, k) for k in range(len(files)))]
            for size in range(2, len(members) + 1):
                yield name, f"{name}_{size}", size, members[:size]
        elif name in SINGLE_NETWORKS:
            yield name, f"{name}_1", 1, [(name, 0)]
        else:
            graph = run.load(files[0], keras.Model)
            size = baseline_size(graph)
            yield name, f"{name}_{size}", graph, [(name, k) for k in range(size)]
