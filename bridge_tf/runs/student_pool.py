"""What a run's modes answer, kept while their student is trained."""

import shutil

import numpy as np

from bridge_tf import data
from bridge_tf.bridges.pool import Pool, Table
from bridge_tf.data.stored_batches import answered_batches
from bridge_tf.ensembles.bridge_ensemble import BridgeEnsemble
from bridge_tf.runs.context import Run
from bridge_tf.runs.task_graph import Task
from bridge_tf.runs.training_cost import student_passes
from bridge_tf.training.precision import computing_in
from bridge_tf.training.recipe import Recipe
from bridge_tf.utils.files import check_space, remove_empty
from bridge_tf.utils.locks import locked
from bridge_tf.utils.terminal import logger

_TABLE = "modes"


class StudentPool:
    """The modes' log-probabilities for the augmented images of the student's first epochs.

    Epoch e shows the batches of epoch e modulo the number of passes again, so that no image is
    kept. The first epochs are those of a student that asks its teachers in each step.
    """

    def __init__(self, run: Run, task: Task, recipe: Recipe):
        self.run, self.task, self.recipe = run, task, recipe
        self.size = run.config.batch_size
        self.steps = data.steps_per_epoch(run.data.train, self.size)
        self.passes = student_passes(run.config)
        self.pool = Pool(run.files.student_pool / task.name, self.passes, self.steps * self.size)

    def fill(self, modes: list) -> None:
        """Writes what is missing; InputError if the disk hasn't room for it."""
        shape = (len(modes), self.run.data.num_classes)
        row = np.dtype([("answers", "f4", shape)])
        wanted = self.passes * self.pool.rows * row.itemsize
        made_from = self.run.files.manifest.digests(self.task.sources(self.run.files))
        self.pool.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.pool.folder, wait=True, told=False):  # by another process of the training
            missing = [
                number
                for number in range(self.passes)
                if not self.pool.has(_TABLE, number, made_from)
            ]
            if not missing:
                return
            check_space("student_passes", self.run.files.path, wanted, "what the modes answer")
            logger.info(f"student: the modes' answers, {len(missing)} of {self.passes} passes")
            ensemble = BridgeEnsemble(modes[0], [], modes[1:])
            ensemble.compile(jit_compile=self.recipe.compiles(ensemble))
            table = Table(
                _TABLE, row, lambda x, y, r: [ensemble.predict_on_batch(x)["log_probabilities"]]
            )
            with computing_in(self.recipe.precision, ensemble):
                for number in missing:
                    batches = self._shown(number * self.steps).take(self.steps)
                    self.pool.write(
                        number, {table: made_from}, batches.as_numpy_iterator(), self.recipe.seed
                    )

    def batches(self, epochs: int, seed: int, first_step: int = 0):
        """Batches for `StudentDistillation`, as `Run.training_batches`; `seed` is the recipe's."""
        tables = [
            np.load(self.pool.path(_TABLE, number), mmap_mode="r") for number in range(self.passes)
        ]

        def answers(step: int) -> np.ndarray:
            number, within = divmod(int(step), self.steps)
            rows = slice(within * self.size, (within + 1) * self.size)
            return np.array(tables[number][rows]["answers"])

        cycle = self.passes * self.steps
        return answered_batches(
            self._shown, answers, cycle, steps=epochs * self.steps, first_step=first_step
        )

    def _shown(self, first_step: int):
        """Images and labels of the passes from this step on."""
        return self.run.training_batches(self.passes, self.recipe.seed, first_step)


def remove_answers(run: Run, task: Task | None = None) -> None:
    """Removes what is kept for a student that is trained; default: for all of the run."""
    pools = run.files.student_pool
    shutil.rmtree(pools / task.name if task else pools, ignore_errors=True)
    remove_empty(pools, pools.parent)
