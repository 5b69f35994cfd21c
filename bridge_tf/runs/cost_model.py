"""What a run's tasks cost: steps, FLOPs, and the size of their results; see docs/scale.md.

It needs only the configuration and the sizes of the data, no machines and no images.
"""

import dataclasses
from collections.abc import Iterable

from bridge_tf.config import Config
from bridge_tf.config.fields import SUB_ENSEMBLE
from bridge_tf.data.batches import steps_per_epoch
from bridge_tf.runs.counted_networks import Networks
from bridge_tf.runs.evaluation_cost import EvaluationCost
from bridge_tf.runs.task_graph import BASE, ENSEMBLE, Task, TaskGraph, kind_of
from bridge_tf.runs.training_cost import epochs_of, flops_of_image, targets

_FLOAT = 4
# Copies of the trainable weights in a file besides themselves: SWA's momentum and average.
_MORE = {"swa": 2}


@dataclasses.dataclass(frozen=True)
class DataSizes:
    """Images of each split as the run uses them, (height, width, channels), number of classes."""

    train: int
    validation: int
    test: int
    image_shape: tuple[int, int, int]
    classes: int

    @classmethod
    def of(cls, dataset) -> "DataSizes":
        """Those of a `bridge_tf.data.Dataset`."""
        splits = dataset.train, dataset.validation, dataset.test
        return cls(*map(len, splits), tuple(dataset.image_shape), dataset.num_classes)


@dataclasses.dataclass(frozen=True)
class Cost:
    """Gradient steps, FLOPs (`bridge_tf.networks.flops`), and bytes of the numbers in .keras files.

    What HDF5 and the architecture take besides isn't counted.
    """

    steps: int = 0
    flops: int = 0
    result: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(self.steps + other.steps, self.flops + other.flops, self.result + other.result)


class CostModel:
    """The costs of a run's tasks, without interruptions and retries. Tasks of a kind cost the same.

    Raises (`of` and what uses it):
        InputError: as in the run, if network, taps or batch size are impossible.
    """

    def __init__(self, config: Config, sizes: DataSizes):
        self.config, self.sizes = config, sizes
        self.graph = TaskGraph(config)
        self.networks = Networks(config, sizes.image_shape, sizes.classes)
        self.evaluation = EvaluationCost(config, sizes, self.networks)
        self._known: dict[str, Cost] = {}

    def of(self, task: Task) -> Cost:
        """What a task of the run takes."""
        kind = "student" if task.name == BASE else kind_of(task.name)
        if kind not in self._known:
            self._known[kind] = self._of_training(kind) if task.is_training else self._other(kind)
        return self._known[kind]

    def total(self, tasks: Iterable[Task] | None = None) -> Cost:
        """What several tasks take together; default: all of the run."""
        tasks = self.graph.tasks.values() if tasks is None else tasks
        return sum(map(self.of, tasks), Cost())

    def critical_path(self, tasks: Iterable[Task] | None = None) -> list[Task]:
        """The chain of tasks, each after the one before, that has the most FLOPs.

        With a machine for each task, all take as long as this chain. `tasks` (default: all) are in
        the run's order; others count as done.
        """
        tasks = self.graph.tasks.values() if tasks is None else tasks
        longest: dict[str, tuple[int, list[Task]]] = {}
        for task in tasks:
            before = [longest[name] for name in task.after if name in longest]
            flops, chain = max(before, key=_length, default=(0, []))
            longest[task.name] = flops + self.of(task).flops, [*chain, task]
        return max(longest.values(), key=_length, default=(0, []))[1]

    def _of_training(self, kind: str) -> Cost:
        config, networks = self.config, self.networks
        if kind == "laplace":  # reads each image once
            return Cost(flops=self.sizes.train * networks.mode.flops, result=self._result(kind))
        epoch = steps_per_epoch(range(self.sizes.train), config.batch_size)
        rows = epoch * config.batch_size
        epochs = networks.long_epochs(rows) if kind == "long" else epochs_of(config, kind)
        steps = epochs * epoch
        trained, network = networks.trained(kind).flops, networks.mode.flops
        image = flops_of_image(config, kind, trained + networks.behind(kind), network)
        flops = int(steps * config.batch_size * image) + self.evaluation.reestimations(kind)
        if kind in ("bridge", SUB_ENSEMBLE):
            flops += self._of_teachers(rows, kind)
        return Cost(steps, flops, self._result(kind))

    def _of_teachers(self, rows: int, kind: str) -> int:
        """FLOPs of what a bridge reads of others: in each step, or of a pool.

        In one process, bridges share the features of the modes; on a cluster none do. The tails of
        a sub-ensemble have no member.
        """
        config, networks = self.config, self.networks
        passes = networks.pool_passes(rows)
        tapped = config.bridge_type * networks.tapped
        if passes and config.executor == "local":
            modes = config.num_modes if config.bridge_type == 2 else 1
            tapped = modes * networks.tapped // len(config.bridge_pairs())
        member = targets(config) * networks.mode.flops * (kind == "bridge")
        return (passes or config.bridge_epochs) * rows * (member + tapped)

    def _other(self, name: str) -> Cost:
        if name == "evaluate":
            return Cost(flops=self.evaluation.flops)
        if name == "export":
            return Cost(flops=self.evaluation.export_flops)
        return Cost(result=self._result(name))

    def _result(self, kind: str) -> int:
        networks, mode = self.networks, self.networks.mode
        if kind == "curve":
            # Control points, momentum of the inner ones, and the network that it is made of.
            degree = self.config.curve_degree
            return (
                _FLOAT * ((degree + 1) + (degree - 1) + 1) * mode.trained + 3 * _FLOAT * mode.fixed
            )
        if kind == ENSEMBLE:
            bridges = len(self.config.bridge_pairs()) * networks.bridge.numbers()
            return _FLOAT * (networks.executed * mode.numbers() + bridges)
        return _FLOAT * networks.trained(kind).numbers(_MORE.get(kind, 0))


def _length(chain: tuple[int, list[Task]]) -> tuple[int, int]:
    """Of a chain of tasks with its FLOPs; some tasks have none."""
    return chain[0], len(chain[1])
