"""The pool that a run's bridges train on."""

import shutil
import time

from bridge_tf import data
from bridge_tf.bridges.bridge import bridge_features
from bridge_tf.bridges.pool import (
    Pool,
    Table,
    image_bytes,
    label_table,
    member_table,
    mode_table,
)
from bridge_tf.bridges.teachers import Teachers
from bridge_tf.data.stored_batches import stored_batches
from bridge_tf.runs.context import Run
from bridge_tf.runs.task_graph import Task
from bridge_tf.runs.training_cost import pool_passes
from bridge_tf.utils.files import check_space, remove_empty
from bridge_tf.utils.locks import locked
from bridge_tf.utils.terminal import logger

_SECONDS = 20  # between lines that tell of passes


class BridgePool:
    """The pool of a run, for bridges like `bridge`; it is empty if its `passes` are 0."""

    def __init__(self, run: Run, bridge):
        self.run, self.bridge = run, bridge
        batch_size = run.config.batch_size
        self.rows = batch_size * data.steps_per_epoch(run.data.train, batch_size)
        self.passes = pool_passes(run.config, bridge, self.rows)
        self.pool = Pool(run.files.pool, self.passes, self.rows)

    def check_room(self) -> None:
        """Raises an InputError if the disk hasn't room for the pool; tells if there is none."""
        config = self.run.config
        modes = config.num_modes if config.bridge_type == 2 else 1
        size = self.rows * image_bytes(self.bridge, modes, config.repulsion > 0)
        if self.passes:
            there = sum(path.stat().st_size for path in self.pool.folder.glob("*.npy"))
            wanted = max(0, self.passes * size - there)
            check_space("bridge_pool", self.run.files.path, wanted, "the pool of features")
        elif config.bridge_pool:
            logger.info(
                f"bridges: a pass of features would take {size / 1e9:.3g} GB, more than "
                f"`bridge_pool={config.bridge_pool:g}`, so each step computes its own"
            )

    def fill(self, task: Task, teachers: Teachers) -> None:
        """Writes what is missing for a bridge.

        Raises:
            TrainingError: a feature can't be kept.
        """
        self.pool.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.pool.folder, wait=True, told=False):  # by another job of the run
            made_from, tables = self._made_from(task), self._tables(task, teachers)
            told = time.monotonic()
            for number in range(self.passes):
                missing = [
                    name for name in made_from if not self.pool.has(name, number, made_from[name])
                ]
                if missing:
                    told = self._tell(number, told)
                    wanted = {tables[name]: made_from[name] for name in missing}
                    self.pool.write(number, wanted, self._batches(number), self._seed)

    def batches(self, task: Task, epochs: int, seed: int, first_step: int = 0):
        """Batches for the `Distillation` of a bridge, as `Run.bridge_batches`."""
        config = self.run.config
        read = self.pool.reader(
            [f"mode-{k}" for k in self._modes(task)],
            _member(task),
            bridge_features(self.bridge)[1],
            base_logits=config.repulsion > 0 and task.stage == "bridges",
            labels=self._needs_labels(task),
        )
        size = config.batch_size
        return stored_batches(
            read, self.rows, self.passes, size, epochs=epochs, seed=seed, first_step=first_step
        )

    def forget(self, task: Task) -> None:
        """Removes what only this bridge reads."""
        if member := _member(task):
            self.pool.remove(member)

    def _tell(self, number: int, told: float) -> float:
        """Logs which pass is begun, if the last line is old; when the last line was."""
        now = time.monotonic()
        if now - told < _SECONDS:
            return told
        logger.info(f"bridges: features and targets, pass {number + 1} of {self.passes}")
        return now

    @property
    def _seed(self) -> int:
        return self.run.seed("pool")

    def _batches(self, number: int):
        run = self.run
        steps = self.rows // run.config.batch_size
        found = run.bridge_batches(self.passes, self._seed, number * steps, labels=True)
        return found.take(steps).as_numpy_iterator()

    def _made_from(self, task: Task) -> dict[str, list]:
        """What the tables for a bridge are made from, by their names."""
        files = self.run.files
        made_from = {
            f"mode-{k}": files.manifest.digests([self.run.base if k == 0 else files.mode(k)])
            for k in self._modes(task)
        }
        if member := _member(task):
            made_from[member] = files.manifest.digests(task.sources(files))
        return made_from | ({"labels": []} if self._needs_labels(task) else {})

    def _modes(self, task: Task) -> tuple[int, ...]:
        """The modes whose features are read."""
        return task.modes[: self.run.config.bridge_type] if task.stage == "bridges" else (0,)

    def _needs_labels(self, task: Task) -> bool:
        return self.run.config.label_share > 0 or _member(task) is None

    def _tables(self, task: Task, teachers: Teachers) -> dict[str, Table]:
        recipe, classes = self.run.bridge_recipe(1, 0), self.run.data.num_classes
        modes = enumerate(self._modes(task))
        tables = [
            *(mode_table(f"mode-{k}", teachers, number, recipe) for number, k in modes),
            label_table(classes),
        ]
        if member := _member(task):
            tables.append(member_table(member, teachers, classes, recipe))
        return {table.name: table for table in tables}


def remove_pool(run: Run) -> None:
    """Removes the pool of a run whose bridges are trained."""
    shutil.rmtree(run.files.pool, ignore_errors=True)
    remove_empty(run.files.pool.parent)


def _member(task: Task) -> str | None:
    """The table of a bridge's targets; None for the tails of a sub-ensemble, which have labels."""
    name = task.name.removeprefix("bridge-")
    return f"member-{name}" if task.stage == "bridges" else None
