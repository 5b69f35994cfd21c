"""What a bridge's training reads of frozen networks: features at the taps, and targets."""

from typing import Any

import keras
from keras import ops

from bridge_tf.bridges.bridge import bridge_features, bridge_taps, is_conditioned
from bridge_tf.curves.path import CurvePath
from bridge_tf.networks.classifier import logits_copy
from bridge_tf.utils.graph import LOGITS_INPUT, check_taps, counterparts, extractor


class Teachers(keras.Model):
    """From images to what `Distillation` takes.

    Args:
        bridge: that is to be trained; not changed. The other models are copied.
        base: the mode whose taps feed the bridge; for Type II, the mode at the curve's start.
        member: the network at r, from `Curve.model_at`; for a conditioned bridge, the whole curve,
            from `Curve.path`; None for a bridge that learns from labels alone.
        end: for Type II, the mode at the curve's end.
        base_logits: whether the base's logits are needed besides.

    Raises:
        InputError: a tap isn't in the base.
        ValueError: `end` or `member` don't fit the type of the bridge.
    """

    def __init__(
        self,
        bridge: keras.Model,
        base: keras.Model,
        member: keras.Model | CurvePath | None,
        end: keras.Model | None = None,
        base_logits: bool = False,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        bridge_type, features = bridge_features(bridge)
        if (bridge_type == 2) != (end is not None):
            raise ValueError(
                "a bridge of Type II needs `end`, one of Type I takes none. "
                f"Received: type={bridge_type}, end={end}"
            )
        self.conditioned = is_conditioned(bridge)
        if member is not None and self.conditioned != isinstance(member, CurvePath):
            raise ValueError(
                "a conditioned bridge follows a curve, from Curve.path, another one a model, from "
                f"Curve.model_at. Received: conditioned={self.conditioned}, member={member}"
            )
        modes = [logits_copy(mode) for mode in ([base] if end is None else [base, end])]
        check_taps(modes[0], bridge_taps(bridge)[1])
        self.base_logits = base_logits
        # What is read of each mode, by the names of the base's layers.
        needs_logits = base_logits and LOGITS_INPUT not in features
        self.columns = tuple((*features, *[LOGITS_INPUT] * needs_logits) for _ in modes)
        self.number = len(features)
        self.extractors = [
            extractor(mode, counterparts(modes[0], mode, list(columns)), False, name=f"mode{k}")
            for k, (mode, columns) in enumerate(zip(modes, self.columns, strict=True))
        ]
        copied = member is not None and not self.conditioned
        self.member = logits_copy(member) if copied else member
        self.trainable = False
        self.built = True  # because its parts are

    def call(self, images: Any, r: Any = 0.5) -> dict[str, Any]:
        """What `Distillation` takes, at one r for all images."""
        of_modes = [_listed(extract(images, training=False)) for extract in self.extractors]
        rows = ops.shape(keras.tree.flatten(images)[0])[0]
        at = {"r": ops.cast(r, "float32")} if self.conditioned else {}
        read = {
            "features": [feature for mode in of_modes for feature in mode[: self.number]],
        }
        if self.member is not None:
            read["member"] = self.member(images, training=False, **at)
        if self.base_logits:
            read["base"] = of_modes[0][self.columns[0].index(LOGITS_INPUT)]
        return read | {name: ops.broadcast_to(value, (rows, 1)) for name, value in at.items()}


def _listed(outputs: Any) -> list:
    return outputs if isinstance(outputs, list) else [outputs]
