"""What the tasks of a run take: steps, FLOPs, bytes read and written, memory; see docs/scale.md.

All is computed from the configuration and the sizes of the data, so that a run can be weighed
before there are machines or images for it.
"""

import dataclasses
import math
import os
from collections.abc import Iterable

from bridge_tf.config import Config
from bridge_tf.runs.cost_model.evaluation import Predicted
from bridge_tf.runs.cost_model.files import RunBytes
from bridge_tf.runs.cost_model.memory import peak_memory
from bridge_tf.runs.cost_model.networks import Networks
from bridge_tf.runs.task_graph import Task, TaskGraph, kind_of


@dataclasses.dataclass(frozen=True)
class DataSizes:
    """How large a data set is; it need not be there.

    Attributes:
        train, validation, test: images of the splits, as the run uses them.
        image_shape: (height, width, channels) as the network takes them.
        classes: their number.
        in_files: training images stay in their files and are read for each batch.
        file_bytes: of the files that hold the data, which a task reads when it begins. 0: of the
            decoded images.
        source_images: how many images these files hold, which `--max_images` doesn't change. 0:
            those of the splits.
        pixel_bytes: of a pixel in memory.
    """

    train: int
    validation: int
    test: int
    image_shape: tuple[int, int, int]
    classes: int
    in_files: bool = False
    file_bytes: int = 0
    source_images: int = 0
    pixel_bytes: int = 1

    @classmethod
    def of(cls, dataset) -> "DataSizes":
        """Those of a `bridge_tf.data.Dataset`; of files only those of records are known."""
        from bridge_tf.data.readers.records import RecordImages

        train = dataset.train.images
        in_files = isinstance(train, RecordImages)
        return cls(
            *(len(split) for split in (dataset.train, dataset.validation, dataset.test)),
            tuple(dataset.image_shape),
            dataset.num_classes,
            in_files,
            sum(map(os.path.getsize, train.paths)) if in_files else 0,
            pixel_bytes=train.dtype.itemsize,
        )

    @property
    def images(self) -> int:
        """Images in the files."""
        return self.source_images or self.train + self.validation + self.test

    @property
    def image_bytes(self) -> int:
        """An image in memory."""
        return self.pixel_bytes * math.prod(self.image_shape)

    @property
    def bytes_in_files(self) -> int:
        """What reading the data set once reads."""
        return self.file_bytes or self.images * self.image_bytes

    @property
    def bytes_of_training(self) -> int:
        """What of it are training images."""
        return round(self.bytes_in_files * self.train / self.images)


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a task takes, or several.

    Attributes:
        steps: gradient steps.
        flops: floating-point operations, as `bridge_tf.networks.flops` counts them.
        bytes_read, bytes_written: by the process's calls, from and to the page cache too.
        memory: bytes that are resident in the process at most, on a CPU; of several tasks the
            largest.
    """

    steps: int = 0
    flops: int = 0
    bytes_read: int = 0
    bytes_written: int = 0
    memory: int = 0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.steps + other.steps,
            self.flops + other.flops,
            self.bytes_read + other.bytes_read,
            self.bytes_written + other.bytes_written,
            max(self.memory, other.memory),
        )


class CostModel:
    """The costs of a run's tasks, each in a process of its own (TensorFlow backend).

    Not in them: checkpoints within epochs, whose number is a matter of time, and trainings that
    are interrupted or retried. Tasks of one kind cost the same.

    Args:
        config: the run's.
        sizes: of its data.

    Raises (`of` and what uses it):
        InputError: what the run itself would raise, of a network, taps or batch size that can't be.
    """

    def __init__(self, config: Config, sizes: DataSizes):
        self.config, self.sizes = config, sizes
        self.graph = TaskGraph(config)
        self.networks = Networks(config, sizes.image_shape, sizes.classes)
        self.predicted = Predicted(config, sizes, self.networks)
        self.files = RunBytes(config, sizes, self.networks, self.predicted)
        self._known: dict[str, Cost] = {}

    def of(self, task: Task) -> Cost:
        """What a task of the run takes."""
        kind = kind_of(task.name)
        if kind not in self._known:
            self._known[kind] = Cost(
                self._steps(task),
                self._flops(task),
                self.files.read(task),
                self.files.written(task),
                peak_memory(self, task),
            )
        return self._known[kind]

    def total(self, tasks: Iterable[Task] | None = None) -> Cost:
        """What several tasks take together; default: all of the run."""
        tasks = self.graph.tasks.values() if tasks is None else tasks
        return sum(map(self.of, tasks), Cost())

    def critical_path(self, tasks: Iterable[Task] | None = None) -> list[Task]:
        """The chain of tasks, each after the one before, that has the most FLOPs.

        With a machine a task, these tasks take as long as this chain does.

        Args:
            tasks: in the order of the run's; others are taken to be done. Default: all.
        """
        tasks = self.graph.tasks.values() if tasks is None else tasks
        longest: dict[str, tuple[int, list[Task]]] = {}
        for task in tasks:
            before = [longest[name] for name in task.after if name in longest]
            flops, chain = max(before, key=_length, default=(0, []))
            longest[task.name] = flops + self.of(task).flops, [*chain, task]
        return max(longest.values(), key=_length, default=(0, []))[1]

    def _steps(self, task: Task) -> int:
        from bridge_tf.data.batches import steps_per_epoch
        from bridge_tf.runs.cost_model.training_cost import epochs_of

        if not task.is_training:
            return 0
        epoch = steps_per_epoch(range(self.sizes.train), self.config.batch_size)
        return epochs_of(self.config, kind_of(task.name)) * epoch

    def _flops(self, task: Task) -> int:
        from bridge_tf.runs.cost_model.training_cost import flops_of_image

        kind, networks = kind_of(task.name), self.networks
        if not task.is_training:
            found = {"evaluate": "flops", "export": "export_flops"}.get(task.name)
            return getattr(self.predicted, found) if found else 0
        tapped = networks.tapped if kind == "bridge" else 0
        trained, network = networks.trained(kind).flops, networks.mode.flops
        image = flops_of_image(kind, trained, network, self.config.num_modes, tapped)
        again = self.predicted.reestimations.get(kind, 0) * self.predicted.reestimation_flops
        return self._steps(task) * self.config.batch_size * image + again


def _length(chain: tuple[int, list[Task]]) -> tuple[int, int]:
    """Of a chain of tasks with its FLOPs; some tasks have none."""
    return chain[0], len(chain[1])
