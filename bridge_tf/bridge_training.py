"""The model that trains a bridge: everything frozen but the bridge."""

import keras
from keras import ops

from bridge_tf.bridge import bridge_taps
from bridge_tf.graph import check_taps, extractor, logits_copy


class BridgeTraining(keras.Model):
    """Fits a bridge to a curve member by `compile` and `fit` on images alone.

    Minimises the mean over the batch of KL(softmax f(x; θ(r)) || softmax bridge(taps(x))) (Yun
    et al., ICML 2023, section 3), less `repulsion` times the mean KL(base || bridge). Base and
    member are copied, so nothing that was passed in but the bridge is changed.

    Args:
        bridge: from `build_bridge`; trained in place.
        base: the mode whose taps feed the bridge; for Type II the mode at the curve's start.
        member: the network at r, from `Curve.model_at`.
        end: for Type II, the mode at the curve's end.
        repulsion: λ ≥ 0 (0, 0.1 and 0.2 in the paper).

    Input: images, N×H×W×C. Output: a dict of log-probabilities, N×classes, "bridge", "member"
    and, with repulsion, "base".
    """

    def __init__(self, bridge, base, member, end=None, repulsion: float = 0.0, **kwargs):
        super().__init__(**kwargs)
        if repulsion < 0:
            raise ValueError(f"repulsion must be ≥ 0. Received: repulsion={repulsion}")
        bridge_type, taps = bridge_taps(bridge)
        if (bridge_type == 2) != (end is not None):
            raise ValueError(
                "a bridge of Type II needs `end`, one of Type I takes none. "
                f"Received: type={bridge_type}, end={end}"
            )
        modes = [base] if end is None else [base, end]
        for mode in modes:
            check_taps(mode, taps)
        self.bridge = bridge
        self.extractors = []
        for k, mode in enumerate(modes):
            copy = logits_copy(mode)
            copy.trainable = False
            logits = repulsion > 0 and k == 0
            self.extractors.append(extractor(copy, taps, logits, name=f"mode{k}"))
        self.member = logits_copy(member)
        self.member.trainable = False
        self.repulsion = float(repulsion)
        self.agreement = keras.metrics.Mean(name="agreement")
        self.built = True  # as all its parts are

    def call(self, images, training=None):
        outputs = {"member": ops.log_softmax(self.member(images, training=False))}
        features = []
        for extract in self.extractors:
            extracted = extract(images, training=False)
            extracted = extracted if isinstance(extracted, list) else [extracted]
            if self.repulsion and not features:
                outputs["base"] = ops.log_softmax(extracted.pop())
            features += extracted
        features = [ops.stop_gradient(feature) for feature in features]
        logits = self.bridge(features if len(features) > 1 else features[0], training=training)
        outputs["bridge"] = ops.log_softmax(logits)
        return {name: ops.cast(value, "float32") for name, value in outputs.items()}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        bridge, member = y_pred["bridge"], ops.stop_gradient(y_pred["member"])
        loss = mean_kl(member, bridge)
        if self.repulsion:
            loss -= self.repulsion * mean_kl(ops.stop_gradient(y_pred["base"]), bridge)
        same = ops.equal(ops.argmax(bridge, axis=-1), ops.argmax(member, axis=-1))
        self.agreement.update_state(ops.cast(same, "float32"))
        return loss + sum(self.losses)


def mean_kl(log_p, log_q):
    """Mean over the batch of KL(p || q) in nats, from log-probabilities, N×classes."""
    return ops.mean(ops.sum(ops.exp(log_p) * (log_p - log_q), axis=-1))
