"""What trainings cost: gradient steps times the FLOPs of a step, relative to one mode."""

import functools
import math
from fractions import Fraction

import keras

from bridge_tf.bridges.bridge import bridge_features
from bridge_tf.bridges.pool import image_bytes, passes_within
from bridge_tf.config.fields import LONG_STUDENTS, STUDENTS, SUB_ENSEMBLE, WIDE
from bridge_tf.data.batches import steps_per_epoch
from bridge_tf.ensembles.baselines.cyclic import cycle_epochs
from bridge_tf.networks.flops import count_flops
from bridge_tf.runs.bridge_settings import new_bridge
from bridge_tf.runs.status import baseline_files
from bridge_tf.utils.graph import extractor

# Forward, and backward to activations and to weights: each about one forward pass.
_TRAINED = 3


def epochs_of(config, kind: str) -> int:
    """Epochs of a training: "mode", "curve", "bridge", or a baseline but "long"."""
    if kind in ("bridge", SUB_ENSEMBLE):
        return config.bridge_epochs
    if kind == "curve":
        return config.curve_epochs
    if kind in LONG_STUDENTS:
        return config.student_epochs or config.mode_epochs
    return cycle_epochs(config.mode_epochs) if kind == "fge" else config.mode_epochs


def long_epochs(config, mode: int, bridge: int, tapped: int, passes: int) -> int:
    """Epochs of a network that costs as much to train as `bridge_1`, a part of one more.

    Args:
        mode, bridge, tapped: FLOPs of an image in a mode, in a bridge, and in what a bridge reads
            of each of its modes.
        passes: of the pool; 0: there is none.
    """
    read = targets(config) * mode + config.bridge_type * tapped
    of_bridge = (passes or config.bridge_epochs) * read + _TRAINED * config.bridge_epochs * bridge
    modes = config.num_modes if config.bridge_target == "ensemble" else 2
    epochs = modes * config.mode_epochs + bool(config.curves()) * config.curve_epochs
    return epochs + math.ceil(of_bridge / (_TRAINED * mode))


def targets(config) -> int:
    """How many networks make what a bridge learns to predict."""
    return config.num_modes if config.bridge_target == "ensemble" else 1


def student_passes(config) -> int:
    """Passes over the images that the modes answer for each of `LONG_STUDENTS`."""
    epochs = epochs_of(config, "student")
    return min(config.student_passes or epochs, epochs)


def flops_of_image(config, kind: str, trained, network):
    """FLOPs that a training spends on an image, in the unit of what is given.

    Three forward passes of what is trained, for all members of "batch_ensemble" but one of
    "mc_dropout", and one of each teacher of a student; on average over its epochs, where the
    teachers' answers are kept. Not counted: what acts on weights alone (curves, optimizers),
    alignment, batch-norm statistics, and what a bridge reads of other networks, which isn't
    executed in each step if there is a pool.

    Args:
        trained, network: forward passes of what is trained, and of the run's network.
    """
    if kind == "batch_ensemble":
        trained = config.num_modes * trained
    asked = Fraction(kind in STUDENTS)
    if kind in LONG_STUDENTS:
        asked = Fraction(student_passes(config), epochs_of(config, kind))
    return _TRAINED * trained + asked * config.num_modes * network


def pool_passes(config, bridge, rows: int) -> int:
    """Passes of the pool for a run's bridges, of `rows` images each; 0: there is none."""
    modes = config.num_modes if config.bridge_type == 2 else 1
    of_image = image_bytes(bridge, modes, config.repulsion > 0)
    return passes_within(config.bridge_pool, config.bridge_epochs, of_image, rows)


def tapped_flops(base, bridge, repulsion: float) -> int:
    """FLOPs of an image in a mode that bridges read, as far as their training executes it.

    `base` has the modes' architecture. With `repulsion` its logits are needed too.
    """
    features = bridge_features(bridge)[1]
    return count_flops(extractor(base, features, logits=repulsion > 0))


class TrainingCosts:
    """The training cost of each row of a comparison; that of one mode is 1.

    All trainings have the same batch size and images, so that steps are proportional to epochs.
    `ensemble` is the run's `BridgeEnsemble`; `flops` are those of one network.
    """

    def __init__(self, run, ensemble, flops: int):
        self.run, self.config, self.ensemble, self.flops = run, run.config, ensemble, flops
        # All bridges read the same features.
        self._first = ensemble.bridges[0]
        rows = run.config.batch_size * steps_per_epoch(run.data.train, run.config.batch_size)
        self._passes = pool_passes(self.config, self._first, rows)

    def of(self, members: list[tuple], relative_flops: float) -> float:
        """The cost of all trainings that an ensemble of these members needs, ≥ 1.

        Members are named as in `Predictions`; `relative_flops` are the ensemble's at inference.
        """
        tasks: set[tuple] = set()
        for member in members:
            tasks |= self._tasks(member)
        # Of one member; `flops_of_image` knows that all of batch_ensemble see each image.
        share = relative_flops / len(members)
        trained = dict.fromkeys(["batch_ensemble", "mc_dropout", "packed"], share)
        trained |= dict.fromkeys(["mimo", *WIDE], relative_flops)
        # Whose sum doesn't depend on the order of a set.
        return math.fsum(self._cost(task, trained.get(task[0], 1.0)) for task in tasks)

    def _tasks(self, member: tuple) -> set[tuple]:
        """The trainings that a member comes from."""
        kind, which = member[:2]
        config = self.config
        if kind in ("member", "bridge"):
            alone = config.bridge_target == "ensemble"
            tasks = {("mode", k) for k in (range(config.num_modes) if alone else which)}
            tasks |= {("curve", which)} & {("curve", pair) for pair in config.curves()}
            return tasks | (self._of_bridge(which) if kind == "bridge" else set())
        if kind == "fge":
            return {("mode", 0), *(("fge", k) for k in range(which + 1))}
        if kind == SUB_ENSEMBLE:
            features = 0 if self._passes else (kind, which)
            return {("mode", 0), (kind, which), ("features", features)}
        if kind == "laplace":
            return {("mode", 0), (kind, 0)}
        if kind in STUDENTS:
            return {(kind, 0), *(("mode", k) for k in range(config.num_modes))}
        return {member if kind in ("mode", "packed") else (kind, 0)}

    def _of_bridge(self, which: tuple[int, int]) -> set[tuple]:
        """The training of a bridge, and the features that it reads: of a pool, once for all."""
        read = which[: self.config.bridge_type]
        features = {("features", k if self._passes else (which, k)) for k in read}
        return {("bridge", which), *features}

    def _cost(self, task: tuple, trained: float) -> float:
        kind, which = task
        config = self.config
        if kind == "features":
            return self._executed(self._tapped)
        if kind == SUB_ENSEMBLE:
            own = _TRAINED * config.bridge_epochs * count_flops(self._first)
            return own / self._of_mode
        if kind == "laplace":  # reads each image once
            return self.flops / self._of_mode
        if kind == "bridge":
            bridge = self.ensemble.bridges[config.bridge_pairs().index(which)]
            own = _TRAINED * config.bridge_epochs * count_flops(bridge)
            return own / self._of_mode + self._executed(targets(config) * self.flops)
        if kind == "long":
            bridge = count_flops(self._first)
            epochs = long_epochs(config, self.flops, bridge, self._tapped, self._passes)
            return epochs / config.mode_epochs
        if kind in LONG_STUDENTS and config.student_bridges:
            trained += config.student_bridges * count_flops(self._behind(kind)) / self.flops
        image = flops_of_image(config, kind, trained, 1.0)
        return epochs_of(config, kind) / config.mode_epochs * image / _TRAINED

    def _behind(self, kind: str):
        """A bridge as those that are trained behind a student."""
        if kind == "student":
            return self._first
        (path,) = baseline_files(self.run, kind)
        return new_bridge(self.run, self.run.load(path, keras.Model))

    def _executed(self, flops: int) -> float:
        """Forward passes for bridges, as many as their training makes of an image."""
        return (self._passes or self.config.bridge_epochs) * flops / self._of_mode

    @property
    def _of_mode(self) -> int:
        """What the training of a mode spends on an image in all its epochs."""
        return self.config.mode_epochs * _TRAINED * self.flops

    @functools.cached_property
    def _tapped(self) -> int:
        return tapped_flops(self.ensemble.base, self._first, self.config.repulsion)
