"""The training of a bridge, with everything else frozen."""

from collections.abc import Mapping
from typing import Any

import keras
from keras import ops

from bridge_tf.bridges.bridge import answers_at, bridge_features, bridge_taps, is_conditioned
from bridge_tf.curves.path import CurvePath
from bridge_tf.networks.classifier import logits_copy
from bridge_tf.training.arguments import listed
from bridge_tf.training.distribution.devices import Devices, part_of_mean, shared
from bridge_tf.training.fit import fit
from bridge_tf.training.recipe import Recipe
from bridge_tf.training.targets import ClassWeight, class_weights, weighted_mean
from bridge_tf.utils.docstrings import takes_options_of
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.graph import check_taps, counterparts, extractor

# Options of `fit` that a bridge doesn't have, which is trained on its own loss.
_OF_CLASSIFIERS = ("loss", "metrics")


class BridgeTraining(keras.Model):
    """Trains a bridge to predict what a curve member predicts, with `compile` and `fit`.

    The loss is the mean over the batch of KL(softmax f(x; θ(r)) || softmax bridge(taps(x))) (Yun et
    al., ICML 2023, section 3), minus `repulsion` times the mean KL(base || bridge). With a
    `label_share` s, the first KL counts 1 - s and the cross-entropy with the labels s. For a
    conditioned bridge, each training step draws one r ~ U(0, 1) for the whole batch.

    Args:
        bridge: from `build_bridge`; trained in place. The other models are copied.
        base: the mode whose taps feed the bridge; for Type II, the mode at the curve's start.
        member: the network at r, from `Curve.model_at`; for a conditioned bridge, the whole curve,
            from `Curve.path`.
        end: for Type II, the mode at the curve's end.
        repulsion: λ ≥ 0 (0, 0.1 and 0.2 in the paper).
        label_share: in [0, 1) (0 in the paper). If > 0, targets are labels: N integers or N×classes
            probabilities.
        class_weight: with a `label_share`, the weight of each class in the cross-entropy. It goes
            with the labels: an image mixed of two classes has both weights, in its shares.
        seed: of the draws of r.

    Sample weights are those of an image's whole loss.

    Output: a dict of log-probabilities, N×classes: "bridge", "member" and, with repulsion, "base".
    At inference r is 0.5 unless `r` is given.
    """

    def __init__(
        self,
        bridge: keras.Model,
        base: keras.Model,
        member: keras.Model | CurvePath,
        end: keras.Model | None = None,
        repulsion: float = 0.0,
        label_share: float = 0.0,
        seed: int = 0,
        class_weight: Mapping[int, float] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if repulsion < 0:
            raise ValueError(f"repulsion must be ≥ 0. Received: repulsion={repulsion}")
        if not 0 <= label_share < 1:
            raise ValueError(f"label_share must lie in [0, 1). Received: label_share={label_share}")
        if class_weight and not label_share:
            raise ValueError(
                "class_weight needs a label_share, since a bridge reads no labels without. "
                f"Received: class_weight={class_weight}"
            )
        bridge_type, features = bridge_features(bridge)
        if (bridge_type == 2) != (end is not None):
            raise ValueError(
                "a bridge of Type II needs `end`, one of Type I takes none. "
                f"Received: type={bridge_type}, end={end}"
            )
        self.conditioned = is_conditioned(bridge)
        if self.conditioned != isinstance(member, CurvePath):
            raise ValueError(
                "a conditioned bridge follows a curve, from Curve.path, another one a model, from "
                f"Curve.model_at. Received: conditioned={self.conditioned}, member={member}"
            )
        self.bridge = bridge
        self.extractors = []
        modes = [logits_copy(mode) for mode in ([base] if end is None else [base, end])]
        check_taps(modes[0], bridge_taps(bridge)[1])
        for k, mode in enumerate(modes):
            mode.trainable = False
            logits = repulsion > 0 and k == 0
            own = counterparts(modes[0], mode, features)
            self.extractors.append(extractor(mode, own, logits, name=f"mode{k}"))
        self.member = member if self.conditioned else logits_copy(member)
        self.member.trainable = False
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.repulsion, self.label_share = float(repulsion), float(label_share)
        classes = range(bridge.output_shape[-1])
        self.class_weight = class_weight and [float(class_weight.get(k, 1)) for k in classes]
        self.agreement = keras.metrics.Mean(name="agreement")
        self.built = True  # because its parts are

    @property
    def changing_variables(self) -> list:
        """All variables that training changes; not those of base and member."""
        return [*self.bridge.variables, self.seed_generator.state]

    def call(self, images: Any, r: Any = None, training: bool | None = None) -> dict[str, Any]:
        at = {}
        if self.conditioned:
            if r is None:
                r = keras.random.uniform((), seed=self.seed_generator) if training else 0.5
            at = {"r": ops.cast(r, "float32")}
        outputs = {"member": ops.log_softmax(self.member(images, training=False, **at))}
        features: list = []
        for extract in self.extractors:
            extracted = extract(images, training=False)
            extracted = extracted if isinstance(extracted, list) else [extracted]
            if self.repulsion and not features:
                outputs["base"] = ops.log_softmax(extracted.pop())
            features += extracted
        features = [ops.stop_gradient(feature) for feature in features]
        rows = ops.shape(features[0])[0]
        positions = [ops.broadcast_to(r, (rows, 1)) for r in at.values()]
        (logits,) = answers_at(self.bridge, features, positions, training=training)
        outputs["bridge"] = ops.log_softmax(logits)
        return {name: ops.cast(value, "float32") for name, value in outputs.items()}

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        bridge, member = y_pred["bridge"], ops.stop_gradient(y_pred["member"])
        loss = mean_kl(member, bridge, sample_weight)
        if self.label_share:
            if y is None:
                raise ValueError("label_share needs labels beside the images. Received: y=None")
            if len(y.shape) == 1 or y.shape[-1] == 1:
                y = ops.one_hot(ops.reshape(y, (-1,)), bridge.shape[-1])
            if self.class_weight:
                y = y * ops.convert_to_tensor(self.class_weight, bridge.dtype)
            entropy = -weighted_mean(ops.sum(y * bridge, axis=-1), sample_weight)
            loss = (1 - self.label_share) * loss + self.label_share * entropy
        if self.repulsion:
            base = ops.stop_gradient(y_pred["base"])
            loss -= self.repulsion * mean_kl(base, bridge, sample_weight)
        same = ops.equal(ops.argmax(bridge, axis=-1), ops.argmax(member, axis=-1))
        self.agreement.update_state(ops.cast(same, "float32"))
        return part_of_mean(loss + sum(self.losses))


def mean_kl(log_p: Any, log_q: Any, sample_weight: Any = None) -> Any:
    """Mean over the batch of KL(p || q) in nats, from log-probabilities, N×classes."""
    return weighted_mean(ops.sum(ops.exp(log_p) * (log_p - log_q), axis=-1), sample_weight)


@takes_options_of(fit, but=_OF_CLASSIFIERS)
def fit_bridge(
    bridge: keras.Model,
    base: keras.Model,
    member: keras.Model | CurvePath,
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
        label_share: in [0, 1): the share of the cross-entropy with the labels in the loss (0 in the
            paper). Labels are N integers or N×classes probabilities.
        devices: the devices that share each batch; default: one device.
        class_weight: the weight of each class in the `label_share`, as for `fit_mode`.
        validation_data: as `data`, measured after each epoch; batches must end.
        **options: as in `fit`.

    Returns:
        Keras's history: `loss`, in nats, and `agreement`, the share of images for which bridge and
            member have the same top class.

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
