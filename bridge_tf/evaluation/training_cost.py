"""What trainings cost: gradient steps times the FLOPs of a step, relative to one mode."""

from bridge_tf.baselines.rates import cycle_epochs
from bridge_tf.bridge import bridge_features
from bridge_tf.evaluation.cost import count_flops
from bridge_tf.graph import extractor

# Forward, and backward to activations and to weights: each about one forward pass.
_TRAINED = 3


class TrainingCosts:
    """The cost of each row of a comparison, in trainings of one mode.

    A step costs three forward passes of what is trained and one of what is executed besides
    (teachers, curve members, bases behind bridges); all trainings have the same batch size and
    images, so steps go as epochs. Not counted: what acts on weights alone (curves, optimizers),
    alignment, batch-norm statistics.

    Args:
        run: its configuration counts.
        ensemble: its `BridgeEnsemble`.
        flops: of one network.
    """

    def __init__(self, run, ensemble, flops: int):
        self.config, self.ensemble, self.flops = run.config, ensemble, flops
        self._bridges: dict[int, float] = {}

    def of(self, members: list[tuple], relative_flops: float) -> float:
        """What all trainings cost together that an ensemble of these members needs, ≥ 1.

        Args:
            members: their names, as `Predictions` has them.
            relative_flops: of their ensemble at inference.
        """
        tasks: set[tuple] = set()
        for member in members:
            tasks |= self._tasks(member)
        shares = relative_flops / len(members)
        return float(sum(self._cost(task, shares, relative_flops) for task in tasks))

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

    def _cost(self, task: tuple, share: float, whole: float) -> float:
        config = self.config
        kind = task[0]
        if kind == "curve":
            return config.curve_epochs / config.mode_epochs
        if kind == "bridge":
            return self._bridge(config.curves().index(task[1]))
        if kind == "fge":
            return cycle_epochs(config.mode_epochs) / config.mode_epochs
        if kind == "distillation":
            return (_TRAINED + config.num_modes) / _TRAINED
        if kind in ("batch_ensemble", "mc_dropout"):
            return share  # in training each image is seen by one member
        return whole if kind == "mimo" else 1.0

    def _bridge(self, number: int) -> float:
        if number not in self._bridges:
            base, bridge = self.ensemble.base, self.ensemble.bridges[number]
            kind, features = bridge_features(bridge)
            tapped = count_flops(extractor(base, features, logits=self.config.repulsion > 0))
            step = kind * tapped + self.flops + _TRAINED * count_flops(bridge)
            epochs = self.config.bridge_epochs / self.config.mode_epochs
            self._bridges[number] = epochs * step / (_TRAINED * self.flops)
        return self._bridges[number]
