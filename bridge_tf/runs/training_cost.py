"""What trainings cost: gradient steps times the FLOPs of a step, relative to one mode."""

import math

from bridge_tf.bridges.bridge import bridge_features
from bridge_tf.ensembles.baselines.cyclic import cycle_epochs
from bridge_tf.networks.flops import count_flops
from bridge_tf.utils.graph import extractor

# Forward, and backward to activations and to weights: each about one forward pass.
_TRAINED = 3


def epochs_of(config, kind: str) -> int:
    """Epochs of a training; `kind` is "mode", "curve", "bridge", or the name of a baseline."""
    if kind in ("curve", "bridge"):
        return getattr(config, f"{kind}_epochs")
    return cycle_epochs(config.mode_epochs) if kind == "fge" else config.mode_epochs


def flops_of_image(kind: str, trained, network, num_modes: int, tapped=0):
    """FLOPs that a training spends on an image, in the unit of what is given.

    Three forward passes of what is trained, and one of what is executed besides: the teachers of a
    student, the curve member that a bridge follows, and what of the modes is before its taps. Not
    counted: what acts on weights alone (curves, optimizers), alignment, batch-norm statistics.

    Args:
        trained, network: forward passes of what is trained, and of the run's network.
        tapped: for a bridge, what `tapped_flops` gives.
    """
    besides = {"bridge": tapped + network, "distillation": num_modes * network}
    return _TRAINED * trained + besides.get(kind, 0)


def tapped_flops(base, bridge, repulsion: float) -> int:
    """FLOPs of an image in the modes that a bridge reads, as far as its training executes them.

    `base` has the modes' architecture. With `repulsion` its logits are needed too.
    """
    kind, features = bridge_features(bridge)
    return kind * count_flops(extractor(base, features, logits=repulsion > 0))


class TrainingCosts:
    """The training cost of each row of a comparison; that of one mode is 1.

    All trainings have the same batch size and images, so that steps are proportional to epochs.
    `ensemble` is the run's `BridgeEnsemble`; `flops` are those of one network.
    """

    def __init__(self, run, ensemble, flops: int):
        self.config, self.ensemble, self.flops = run.config, ensemble, flops
        self._bridges: dict[int, float] = {}

    def of(self, members: list[tuple], relative_flops: float) -> float:
        """The cost of all trainings that an ensemble of these members needs, ≥ 1.

        Members are named as in `Predictions`; `relative_flops` are the ensemble's at inference.
        """
        tasks: set[tuple] = set()
        for member in members:
            tasks |= self._tasks(member)
        # In training each image is seen by one member of batch_ensemble and mc_dropout.
        share = relative_flops / len(members)
        trained = {"batch_ensemble": share, "mc_dropout": share, "mimo": relative_flops}
        # Whose sum doesn't depend on the order of a set.
        return math.fsum(self._cost(task, trained.get(task[0], 1.0)) for task in tasks)

    def _tasks(self, member: tuple) -> set[tuple]:
        """The trainings that a member comes from."""
        kind, which = member[:2]
        if kind in ("member", "bridge"):
            tasks = {("mode", which[0]), ("mode", which[1]), ("curve", which)}
            return tasks | ({("bridge", which)} if kind == "bridge" else set())
        if kind == "fge":
            return {("mode", 0), *(("fge", k) for k in range(which + 1))}
        if kind == "distillation":
            return {(kind, 0), *(("mode", k) for k in range(self.config.num_modes))}
        return {member if kind == "mode" else (kind, 0)}

    def _cost(self, task: tuple, trained: float) -> float:
        kind, which = task
        if kind == "bridge":
            return self._bridge(self.config.curves().index(which))
        return self._relative(kind, trained, 1.0)

    def _relative(self, kind: str, trained, network, tapped=0) -> float:
        """One training, over that of a mode."""
        config = self.config
        image = flops_of_image(kind, trained, network, config.num_modes, tapped)
        epochs = epochs_of(config, kind) / config.mode_epochs
        return epochs * image / flops_of_image("mode", network, network, config.num_modes)

    def _bridge(self, number: int) -> float:
        if number not in self._bridges:
            base, bridge = self.ensemble.base, self.ensemble.bridges[number]
            tapped = tapped_flops(base, bridge, self.config.repulsion)
            self._bridges[number] = self._relative(
                "bridge", count_flops(bridge), self.flops, tapped
            )
        return self._bridges[number]
