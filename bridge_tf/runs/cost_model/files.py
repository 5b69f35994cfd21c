"""Bytes that a run's tasks read and write: the data, the run's files, what is kept meanwhile."""

import functools

from bridge_tf.config import Config
from bridge_tf.runs.cost_model.evaluation import Predicted
from bridge_tf.runs.cost_model.networks import Networks
from bridge_tf.runs.cost_model.training_cost import epochs_of
from bridge_tf.runs.task_graph import ENSEMBLE, Task, TaskGraph, kind_of

_FLOAT64 = 8
# Of manifest.json: what it says of the run and its images, an entry, and a file in an entry that it
# was made from. Of config.json.
_OF_RUN, _ENTRY, _SOURCE, _CONFIG = 500, 135, 95, 2300
# Times that a task reads these two, besides once for each file that it loads.
_CHECKS = 15
# An epoch in a training's log.
_LOGGED = 260
# Modules that are imported when something is fitted or predicted.
_MODULES = 1_000_000
# Reports, their pages and figures, and what of these each curve has, of which so many are drawn.
_PAGES, _PAGES_OF_CURVE, _CURVES = 900_000, 60_000, 12
# Drawing reads its fonts again for each text that is measured.
_FONTS = 115_000_000
# An export in copies of the ensemble, and graphs in it.
_EXPORTED, _GRAPHS = 2.5, 4_000_000


class RunBytes:
    """What tasks read and write, in bytes, each in a process of its own.

    Counted is what goes through read and write calls, whether the disk sees it or not.

    Args:
        config: the run's.
        sizes: `DataSizes` of its data.
        networks: its networks.
    """

    def __init__(self, config: Config, sizes, networks: Networks, predicted: Predicted):
        self.config, self.sizes, self.networks = config, sizes, networks
        self.predicted = predicted
        self.pairs = config.curves()
        self.executed = predicted.executed

    def result(self, kind: str) -> int:
        """The .keras file that a task makes.

        What `compile` was called on holds its optimizer's state too, and a curve, besides its
        control points, the weights of the network that it is made of.
        """
        mode, degree = self.networks.mode, self.config.curve_degree
        if kind == "curve":
            return mode.file((degree + 1) + (degree - 1), 2)
        if kind == ENSEMBLE:
            return self.executed * mode.file() + len(self.pairs) * self.networks.bridge.file()
        more = {"bridge": 0, "swa": 2, "distillation": 0, "mimo": 0}.get(kind, 1)
        return self.networks.trained(kind).file(more)

    def checkpoint(self, kind: str) -> int:
        """A checkpoint of a training: all that changes, momentum included."""
        degree = self.config.curve_degree
        if kind == "curve":
            return self.networks.mode.checkpoint(2 * degree, 2)
        return self.networks.trained(kind).checkpoint(3 if kind == "swa" else 2)

    @functools.cached_property
    def manifest(self) -> int:
        """manifest.json once all is trained."""
        tasks = TaskGraph(self.config).tasks.values()
        trained = [task for task in tasks if task.stage not in ("evaluate", "export")]
        return _OF_RUN + sum(_ENTRY + _SOURCE * len(task.after) for task in trained)

    def read(self, task: Task) -> int:
        """What a task reads.

        The data set once when it begins, and from files each epoch again; a digest of each file of
        other tasks; these files once or more; its own result for its digest and without its date.
        """
        kind = kind_of(task.name)
        loads = self.loads(task)
        total = self.sizes.bytes_in_files + (0 if kind == ENSEMBLE else _MODULES)
        total += sum(self.result(kind_of(name)) for name in task.after)
        total += sum(number * self.result(name) for name, number in loads.items())
        checks = _CHECKS + sum(loads.values()) + (2 * len(task.after) if kind == "evaluate" else 0)
        total += checks * (self.manifest + _CONFIG)
        if kind == "evaluate":
            return total + self._pages + _FONTS
        if kind == "export":  # the pages show what the files are worth
            return total + _FONTS + round(_EXPORTED * self.result(ENSEMBLE))
        if task.is_training and self.sizes.in_files:
            total += epochs_of(self.config, kind) * self.sizes.bytes_of_training
        return total + 2 * self.result(kind)

    def loads(self, task: Task) -> dict[str, int]:
        """How often a task loads models from files, by their kinds."""
        kind, pairs = kind_of(task.name), len(self.pairs)
        names = 1 if task.is_training and task.after else 0  # those of the base's operations
        if kind == "curve":
            return {"mode": 2 + names}
        if kind == "bridge":
            return {"mode": 2 + names, "curve": 1}
        if kind in ("distillation", "fge"):
            return {"mode": len(task.after) + names}
        if kind == ENSEMBLE:
            return {"mode": self.executed + (self.executed > 1), "bridge": pairs}
        if kind == "export":
            return {ENSEMBLE: 1}
        return self._loads_of_evaluation(task) if kind == "evaluate" else {}

    def _loads_of_evaluation(self, task: Task) -> dict[str, int]:
        found = {"mode": self.config.num_modes + 1, "curve": len(self.pairs), ENSEMBLE: 1}
        for name in map(kind_of, task.after):
            if name not in ("mode", "curve", "bridge", ENSEMBLE):
                once = name in ("swa", "distillation", "fge")
                found[name] = found.get(name, 0) + (1 if once else 2)
        return found

    def written(self, task: Task) -> int:
        """What a task writes; files that are replaced or removed later count too."""
        kind = kind_of(task.name)
        if kind == "evaluate":
            return self.kept_predictions + self._pages + 2 * self.manifest
        if kind == "export":
            return round(_EXPORTED * self.result(ENSEMBLE)) + _GRAPHS
        # A result is written with the date and again without.
        total = 2 * (self.result(kind) + self.manifest)
        if task.is_training:
            epochs = epochs_of(self.config, kind)
            total += (epochs + 1) * self.checkpoint(kind) + epochs * _LOGGED
        return total

    @property
    def _pages(self) -> int:
        return _PAGES + _PAGES_OF_CURVE * min(len(self.pairs), _CURVES)

    @property
    def kept_predictions(self) -> int:
        """What an evaluation keeps on disk until it is done."""
        return _FLOAT64 * self.sizes.classes * self.predicted.answers
