"""The training of a bridge, with everything else frozen."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from bridge_tf.bridges.bridge import answers_at
from bridge_tf.bridges.teachers import Teachers
from bridge_tf.curves.path import CurvePath
from bridge_tf.training.arguments import listed
from bridge_tf.training.distribution.devices import Devices, part_of_mean, shared
from bridge_tf.training.fit import fit
from bridge_tf.training.recipe import Recipe
from bridge_tf.training.targets import ClassWeight, class_weights, weighted_mean
from bridge_tf.utils.docstrings import takes_options_of
from bridge_tf.utils.errors import InputError

# Options of `fit` that a bridge doesn't have, which is trained on its own loss.
_OF_CLASSIFIERS = ("loss", "metrics")


class Distillation(keras.Model):
    """Trains a bridge on features and targets, with `compile` and `fit`.

    The loss is the mean over the batch of KL(softmax f(x; θ(r)) || softmax bridge(taps(x))) (Yun et
    al., ICML 2023, section 3), minus `repulsion` times the mean KL(base || bridge). With a
    `label_share` s, the first KL counts 1 - s and the cross-entropy with the labels s. At s = 1
    there is no member: the bridge is a tail of a deep sub-ensemble (Valdenegro-Toro, 2019).

    Args:
        bridge: from `build_bridge`; trained in place.
        repulsion: λ ≥ 0 (0, 0.1 and 0.2 in the paper).
        label_share: in [0, 1] (0 in the paper). If > 0, targets are labels: N integers or N×classes
            probabilities.
        class_weight: with a `label_share`, the weight of each class in the cross-entropy. It goes
            with the labels: an image mixed of two classes has both weights, in its shares.

    Sample weights are those of an image's whole loss.

    Input: a dict, what `Teachers` gives: "features", a list in the order of the bridge's inputs;
    "member", logits N×classes of the target, unless labels are all; with repulsion, "base", those
    of the base; for a conditioned bridge, "r", N×1.

    Output: a dict of log-probabilities, N×classes: "bridge", "member" and, with repulsion, "base".
    """

    def __init__(
        self,
        bridge: keras.Model,
        repulsion: float = 0.0,
        label_share: float = 0.0,
        class_weight: Mapping[int, float] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if repulsion < 0:
            raise ValueError(f"repulsion must be ≥ 0. Received: repulsion={repulsion}")
        if not 0 <= label_share <= 1:
            raise ValueError(f"label_share must lie in [0, 1]. Received: label_share={label_share}")
        if class_weight and not label_share:
            raise ValueError(
                "class_weight needs a label_share, since a bridge reads no labels without. "
                f"Received: class_weight={class_weight}"
            )
        self.bridge = bridge
        self.repulsion, self.label_share = float(repulsion), float(label_share)
        self.class_weight = class_weight and [
            float(class_weight.get(k, 1))
            for k in range(keras.tree.flatten(bridge.output_shape)[-1])
        ]
        self.agreement = keras.metrics.Mean(name="agreement")
        self.built = True  # because its parts are

    @property
    def changing_variables(self) -> list:
        """All variables that training changes."""
        return self.bridge.variables

    def call(self, inputs: Any, training: bool | None = None) -> dict[str, Any]:
        features = [
            ops.stop_gradient(ops.cast(value, tensor.dtype))
            for value, tensor in zip(inputs["features"], self.bridge.inputs, strict=False)
        ]
        positions = [inputs["r"]] if "r" in inputs else []
        (logits,) = answers_at(self.bridge, features, positions, training=training)
        read = {"bridge": logits}
        if self.label_share < 1:
            read["member"] = inputs["member"]
        if self.repulsion:
            read["base"] = inputs["base"]
        return {name: ops.cast(ops.log_softmax(value), "float32") for name, value in read.items()}

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        bridge, loss = y_pred["bridge"], 0.0
        if self.label_share < 1:
            wanted = ops.stop_gradient(y_pred["member"])
            loss = (1 - self.label_share) * mean_kl(wanted, bridge, sample_weight)
        if self.label_share:
            if y is None:
                raise ValueError("label_share needs labels beside the images. Received: y=None")
            if len(y.shape) == 1 or y.shape[-1] == 1:
                y = ops.one_hot(ops.reshape(y, (-1,)), bridge.shape[-1])
            if self.label_share == 1:
                wanted = y
            if self.class_weight:
                y = y * ops.convert_to_tensor(self.class_weight, bridge.dtype)
            entropy = -weighted_mean(ops.sum(y * bridge, axis=-1), sample_weight)
            loss += self.label_share * entropy
        if self.repulsion:
            base = ops.stop_gradient(y_pred["base"])
            loss -= self.repulsion * mean_kl(base, bridge, sample_weight)
        same = ops.equal(ops.argmax(bridge, axis=-1), ops.argmax(wanted, axis=-1))
        self.agreement.update_state(ops.cast(same, "float32"))
        return part_of_mean(loss + sum(self.losses))


class BridgeTraining(Distillation):
    """A `Distillation` from images: base, member and, for Type II, end run in each step.

    For a conditioned bridge, each training step draws one r ~ U(0, 1) for the whole batch. At
    inference r is 0.5 unless `r` is given.

    Args:
        bridge: from `build_bridge`; trained in place. The other models are copied.
        base, member, end: as for `Teachers`.
        repulsion, label_share, class_weight: as for `Distillation`.
        seed: of the draws of r.
    """

    def __init__(
        self,
        bridge: keras.Model,
        base: keras.Model,
        member: keras.Model | CurvePath | None,
        end: keras.Model | None = None,
        repulsion: float = 0.0,
        label_share: float = 0.0,
        seed: int = 0,
        class_weight: Mapping[int, float] | None = None,
        **kwargs: Any,
    ):
        super().__init__(bridge, repulsion, label_share, class_weight, **kwargs)
        if (member is None) != (label_share == 1):
            raise ValueError(
                "member must be None at a label_share of 1, where labels are all, and only there. "
                f"Received: member={member}, label_share={label_share}"
            )
        self.teachers = Teachers(bridge, base, member, end, base_logits=repulsion > 0)
        self.seed_generator = keras.random.SeedGenerator(seed)

    @property
    def changing_variables(self) -> list:
        """All variables that training changes; not those of base and member."""
        return [*self.bridge.variables, self.seed_generator.state]

    def call(self, inputs: Any, training: bool | None = None, r: Any = None) -> dict[str, Any]:
        if r is None:
            draws = training and self.teachers.conditioned
            r = keras.random.uniform((), seed=self.seed_generator) if draws else 0.5
        return super().call(self.teachers(inputs, r=r), training=training)


def mean_kl(log_p: Any, log_q: Any, sample_weight: Any = None) -> Any:
    """Mean over the batch of KL(p || q) in nats, from log-probabilities, N×classes."""
    return weighted_mean(ops.sum(ops.exp(log_p) * (log_p - log_q), axis=-1), sample_weight)


@takes_options_of(fit, but=_OF_CLASSIFIERS)
def fit_bridge(
    bridge: keras.Model,
    base: keras.Model,
    member: keras.Model | CurvePath | None,
    data: Any,
    recipe: Recipe,
    *,
    end: keras.Model | None = None,
    repulsion: float = 0.0,
    label_share: float = 0.0,
    devices: Devices | None = None,
    class_weight: ClassWeight = None,
    **options: Any,
) -> keras.callbacks.History:
    """Trains a bridge to predict what `member` predicts, in place (Yun et al., ICML 2023).

    Args:
        bridge: from `build_bridge`; trained in place. The other models are copied.
        base: the mode whose taps feed the bridge; for Type II, the mode at the curve's start.
        member: the network at r, from `Curve.model_at`; for a conditioned bridge, the whole curve,
            from `Curve.path`.
        data: images, N×H×W×C: an array, a `Split`, or batches, as for `fit_mode` (the paper uses
            mixup, see `training_batches`). Labels beside them are read only with a `label_share`.
        recipe: epochs, learning rate and so on, see `Recipe`.
        end: for Type II, the mode at the curve's end.
        repulsion: λ ≥ 0, the factor of KL(base || bridge), which is subtracted from the loss (0,
            0.1 and 0.2 in the paper).
        label_share: in [0, 1]: the share of the cross-entropy with the labels in the loss (0 in the
            paper). Labels are N integers or N×classes probabilities. 1: labels alone; `member` is
            None.
        devices: the devices that share each batch; default: one device.
        class_weight: the weight of each class in the `label_share`, as for `fit_mode`.
        validation_data: as `data`, measured after each epoch; batches must end.
        **options: as in `fit`.

    Returns:
        Keras's history: `loss`, in nats, and `agreement`, the share of images for which bridge and
            member (at a `label_share` of 1, the label) have the same top class.

    Raises:
        InputError: an argument can't be used, or a tap isn't in the base.
        ValueError: `repulsion` or `label_share` is out of range, or `end` and `member` don't fit
            the type of the bridge.
        TrainingError: the training diverged.

    Example::

        member = curve.model_at(0.5, images)
        bridge_tf.fit_bridge(bridge, modes[0], member, images, recipe, batch_size=64)
    """
    for name in _OF_CLASSIFIERS:
        if options.get(name) is not None:
            raise InputError(f"`{name}`: a bridge is trained on its KL divergence; leave it out")
    for callback in listed(options.get("callbacks")):
        if isinstance(callback, keras.callbacks.ModelCheckpoint) and not callback.save_weights_only:
            raise InputError(
                "`callbacks`: ModelCheckpoint can't save the training of a bridge; save the bridge "
                "after it, and use `checkpoint_dir` to resume"
            )
    weights = class_weights(class_weight, data, bridge.output_shape[-1])
    with shared(bridge, devices) as bridge:
        if devices is not None and isinstance(member, CurvePath):
            member = member.copy()  # a copy, like all other inputs of the training
        model = BridgeTraining(
            *(bridge, base, member, end, repulsion, label_share),
            seed=recipe.seed,
            class_weight=weights,
        )
        return fit(model, data, recipe, devices=devices, **options)


@takes_options_of(fit, but=_OF_CLASSIFIERS)
def fit_from_features(
    bridge: keras.Model,
    data: Any,
    recipe: Recipe,
    *,
    repulsion: float = 0.0,
    label_share: float = 0.0,
    devices: Devices | None = None,
    class_weight: Mapping[int, float] | None = None,
    **options: Any,
) -> keras.callbacks.History:
    """As `fit_bridge`, from batches of what `Teachers` gives, as those of a pool.

    Args:
        data: batches of the inputs of `Distillation`; with a `label_share`, beside labels.
        class_weight: a weight for each class, or None.
    """
    with shared(bridge, devices) as bridge:
        model = Distillation(bridge, repulsion, label_share, class_weight)
        return fit(model, data, recipe, devices=devices, **options)
