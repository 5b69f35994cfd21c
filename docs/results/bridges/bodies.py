"""The candidates: what bridges are made of and trained on."""

import dataclasses
from collections.abc import Callable

import keras
import numpy as np
from keras import layers, ops

from bridge_tf.bridges.bridge import build_bridge
from bridge_tf.bridges.distillation import mean_kl
from bridge_tf.utils.graph import LOGITS_INPUT, operation

TAP, LATE = "stage2_block1", "stage3_block1"


def tail(base, member):
    """The published body: the tail behind stage 2 at half its width."""
    return build_bridge(base, TAP, 0.5)


def pool(base, member):
    """A linear layer on the pooled features, which starts from the member's."""
    return build_bridge(base, "pool", 1.0, warm_start=member)


def wide(base, member):
    """One wide convolution in the place of two narrow ones and their shortcut."""
    return _bridge(base, [TAP], lambda x: _dense(_conv(x, 66, 3, 2)))


def late(base, member):
    """Two convolutions behind the last block."""
    return _bridge(base, [LATE], lambda x: _dense(_conv(_conv(_conv(x, 31, 1), 31, 3), 31, 3)))


def both(base, member):
    """A convolution on the features of stages 2 and 3 together."""

    def body(early, last):
        joined = layers.Concatenate()([_conv(early, 24, 3, 2), _conv(last, 24, 1)])
        return _dense(_conv(joined, 25, 3))

    return _bridge(base, [TAP, LATE], body)


def pooled(base, member):
    """A hidden layer on the pooled features of stages 2 and 3."""

    def body(*features):
        joined = layers.Concatenate()([layers.GlobalAveragePooling2D()(x) for x in features])
        hidden = layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(joined)
        return layers.Dense(10)(layers.Dense(256, activation="silu")(hidden))

    return _bridge(base, [TAP, LATE], body)


def _bridge(base, taps, body):
    inputs = [keras.Input(operation(base, tap).output.shape[1:], name=tap) for tap in taps]
    return keras.Model(inputs, body(*inputs))


def _conv(x, filters: int, size: int, strides: int = 1):
    start = keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
    options = {"padding": "same", "use_bias": False, "kernel_initializer": start}
    x = layers.Conv2D(filters, size, strides, **options)(x)
    return layers.Activation("silu")(layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x))


def _dense(x):
    start = keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
    x = layers.GlobalAveragePooling2D()(x)
    return layers.Dense(10, kernel_initializer=start)(x)


@dataclasses.dataclass(frozen=True)
class Candidate:
    """What a bridge is made of and trained on.

    Attributes:
        body: from base and member to a model whose inputs are named by the base's layers.
        residual: whether the base's logits are added, the last layer's weights starting at 0.
        labels: share in [0, 1] of the labels' cross-entropy in the loss.
        average: whether the average with the base is a further target.
        matched: whether the member's logits are divided by its temperature on the validation set.
        rate: factor of the learning rate.
        r: position of the member.
    """

    body: Callable = tail
    residual: bool = False
    labels: float = 0.0
    average: bool = False
    matched: bool = False
    rate: float = 1.0
    r: float = 0.5

    def build(self, base, member):
        bridge = self.body(base, member)
        if not self.residual:
            return bridge
        last = bridge.layers[-1]
        last.set_weights([np.zeros_like(weight) for weight in last.get_weights()])
        logits = keras.Input(base.output_shape[1:], name=LOGITS_INPUT)
        return keras.Model([*bridge.inputs, logits], layers.Add()([bridge.output, logits]))

    def loss(self, answer, member, base, labels, temperature: float):
        """Of logits N×classes and labels N×classes."""
        wanted = ops.log_softmax(member / temperature if self.matched else member)
        answer, base = ops.log_softmax(answer), ops.log_softmax(base)
        loss = (1 - self.labels) * mean_kl(wanted, answer)
        loss -= self.labels * ops.mean(ops.sum(labels * answer, axis=-1))
        if self.average:
            loss += mean_kl(ops.logaddexp(base, wanted), ops.logaddexp(base, answer)) / 2
        return self.rate * loss


CANDIDATES = {
    "published": Candidate(),
    "matched": Candidate(matched=True),
    "average": Candidate(average=True),
    "labels": Candidate(labels=0.5),
    "rate3": Candidate(rate=3.0),
    "pool": Candidate(pool),
    "wide": Candidate(wide),
    "both": Candidate(both),
    "residual": Candidate(residual=True),
    "residual_average": Candidate(residual=True, average=True),
    "residual_labels": Candidate(residual=True, labels=0.5),
    "residual_labels_only": Candidate(residual=True, labels=1.0),
    "residual_rate3": Candidate(residual=True, rate=3.0),
    "residual_wide": Candidate(wide, residual=True),
    "residual_late": Candidate(late, residual=True),
    "residual_both": Candidate(both, residual=True),
    "residual_pooled": Candidate(pooled, residual=True),
    "residual_r25": Candidate(residual=True, r=0.25),
    "residual_r75": Candidate(residual=True, r=0.75),
    "residual_r75_rate3": Candidate(residual=True, rate=3.0, r=0.75),
    "residual_r75_labels": Candidate(residual=True, labels=0.5, r=0.75),
    "residual_wide_r75": Candidate(wide, residual=True, r=0.75),
}
