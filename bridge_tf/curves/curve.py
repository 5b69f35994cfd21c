"""A curve between two modes in weight space, as one Keras model.

The curve computes the network's weights at r and passes them to `stateless_call`. So it works for
any network with floating-point weights. Between the end points:
- Trainable weights follow the curve. Only the inner control points are trained.
- Other floating-point state (moving averages, frozen weights) is interpolated linearly. For batch
  normalization this is approximate; `model_at(r, data)` re-estimates it.
- Integer state (seed generators) belongs to the curve and advances with every training step.
"""

from typing import Any

import keras
from keras import ops

from bridge_tf.curves.batch_norm import reestimate_batch_norm
from bridge_tf.curves.checks import check_same_architecture, check_weights
from bridge_tf.curves.path import CurvePath
from bridge_tf.curves.shapes import KINDS, coefficients
from bridge_tf.data.inputs import only_inputs
from bridge_tf.utils.keras_utils import (
    Untracked,
    clone,
    copy_values,
    is_float,
    supports_jit,
    to_config,
    training_argument,
)


@keras.saving.register_keras_serializable(package="bridge_tf")
class Curve(keras.Model):
    """A curve with control points for every weight of a network; runs the network at any r.

    `Curve.between(start, end)` builds one. In training, each call draws one r ~ U(0, 1) for the
    whole batch (Garipov et al., NeurIPS 2018, equation 2), so `compile` and `fit` with a
    classification loss find the curve.

    Args:
        network: a built Keras layer or model; all control points start from its weights.
        degree: degree of the Bezier curve, or number of segments of the chain, at least 1. There
            are degree + 1 control points.
        kind: "bezier" or "chain" (the polygonal chain through the control points).
        seed: of the draws of r.
        **kwargs: of `keras.Model`: `name` and `dtype`.

    Raises:
        ValueError: an argument is out of range, the network isn't built, or a weight can't be
            interpolated.

    Example::

        curve = bridge_tf.Curve.between(modes[0], modes[1], degree=2)
        bridge_tf.fit_curve(curve, (images, labels), recipe, batch_size=8)
        member = curve.model_at(0.5, images)

    Call arguments: the network's `inputs`; `r`, a scalar in [0, 1], by default drawn in training,
    else 0.5; `training`.
    """

    def __init__(
        self,
        network: keras.Layer,
        degree: int = 2,
        kind: str = "bezier",
        seed: int = 0,
        **kwargs: Any,
    ):
        # For any policy of the network, control points are passed to it without rounding.
        kwargs.setdefault("dtype", network.dtype_policy.variable_dtype)
        super().__init__(**kwargs)
        if degree < 1 or degree != int(degree):
            raise ValueError(f"degree must be a whole number ≥ 1. Received: degree={degree}")
        if kind not in KINDS:
            raise ValueError(f"kind must be one of {', '.join(KINDS)}. Received: kind={kind}")
        if not network.built:
            raise ValueError(f"network must be built first. Received: network={network.name}")
        self.degree, self.kind, self.seed = int(degree), kind, seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        check_weights(network)
        # If tracked, the network's own variables would be saved and trained but never used.
        self._network = Untracked(clone(network))
        self.supports_jit = supports_jit(self.network)
        weights = self.network.trainable_variables
        self.control_points = [
            [
                self._add(f"point{k}_{i}", w, trainable=0 < k < self.degree)
                for i, w in enumerate(weights)
            ]
            for k in range(self.degree + 1)
        ]
        state = self.network.non_trainable_variables
        self.start_state = [self._add(f"start_state_{i}", v) for i, v in enumerate(state)]
        self.end_state = [
            self._add(f"end_state_{i}", v) for i, v in enumerate(state) if is_float(v)
        ]
        self.built = True

    def _add(self, name: str, variable: keras.Variable, trainable: bool = False) -> keras.Variable:
        return self.add_weight(
            shape=variable.shape,
            dtype=variable.dtype,
            initializer=lambda shape, dtype: ops.copy(ops.convert_to_tensor(variable.value, dtype)),
            trainable=trainable,
            name=name,
        )

    @classmethod
    def between(
        cls,
        start: keras.Layer,
        end: keras.Layer,
        degree: int = 2,
        kind: str = "bezier",
        **kwargs: Any,
    ) -> "Curve":
        """The curve from `start` to `end`, with its inner control points on the straight line.

        Args:
            start: a built model; copied.
            end: another of the same architecture; copied.
            degree: as in `Curve`.
            kind: as in `Curve`.
            **kwargs: as in `Curve`, with `seed`.

        Raises:
            ValueError: the architectures differ; the message names the first difference.
        """
        check_same_architecture(start, end)
        curve = cls(start, degree=degree, kind=kind, **kwargs)
        ends = [start.trainable_variables, end.trainable_variables]
        for k, points in enumerate(curve.control_points):
            share = k / curve.degree
            for point, a, b in zip(points, *ends, strict=True):
                # In this form, k = 0 and k = degree copy an end point without rounding.
                point.assign((1 - share) * ops.cast(a, point.dtype) + share * b)
        end_floats = [v for v in clone(end).non_trainable_variables if is_float(v)]
        copy_values(end_floats, curve.end_state)
        return curve

    @property
    def network(self) -> keras.Layer:
        """The wrapped network. Its own weights are not part of the curve."""
        return self._network.value

    def weights_at(self, r: Any) -> list:
        """θ(r): one tensor for each trainable weight of the network.

        Args:
            r: a scalar in [0, 1].
        """
        shares = coefficients(self.kind, self.degree, r)
        return [
            sum(share * ops.convert_to_tensor(p) for share, p in zip(shares, points, strict=True))
            for points in zip(*self.control_points, strict=True)
        ]

    def state_at(self, r: Any) -> list:
        """The non-trainable state at r: one tensor for each variable, in the network's order.

        Args:
            r: a scalar in [0, 1].
        """
        ends = iter(self.end_state)
        return [
            (1 - r) * ops.convert_to_tensor(v) + r * next(ends) if is_float(v) else v.value
            for v in self.start_state
        ]

    def call(self, inputs: Any, r: Any = None, training: bool | None = None) -> Any:
        if r is None:
            r = keras.random.uniform((), seed=self.seed_generator) if training else 0.5
        outputs, state, losses = self.network.stateless_call(
            self.weights_at(r),
            self.state_at(r),
            inputs,
            return_losses=True,
            **training_argument(self.network, bool(training)),
        )
        for loss in losses:
            self.add_loss(loss)
        for variable, value in zip(self.start_state, state, strict=True):
            # Moving averages over changing r belong to no single r, so they are dropped.
            if training and not is_float(variable):
                variable.assign(value)
        return outputs

    def model_at(self, r: float, data: Any = None, steps: int | None = None) -> keras.Layer:
        """A copy of the network with the weights θ(r), independent of the curve.

        Args:
            r: position on the curve, in [0, 1].
            data: training inputs, as images N×H×W×C, on which batch-norm statistics are
                re-estimated, except at the end points, where they are exact: an array, a `Split`,
                or batches such as a `tf.data.Dataset`; labels beside them are ignored. Default:
                statistics are interpolated.
            steps: number of batches of `data` to use, for endless data.

        Raises:
            InputError: `data` never end and there are no `steps`.
            ValueError: r lies outside [0, 1].
        """
        r = float(r)
        if not 0 <= r <= 1:
            raise ValueError(f"r must lie in [0, 1]. Received: r={r}")
        model = clone(self.network)
        copy_values(self.weights_at(r), model.trainable_variables)
        copy_values(self.state_at(r), model.non_trainable_variables)
        if data is not None and 0 < r < 1:
            data = only_inputs(data, "data", model, steps)
            reestimate_batch_norm(model, data, steps=steps)
        return model

    def path(self, data: Any = None, steps: int | None = None, points: int = 17) -> CurvePath:
        """A fixed function of inputs and r, to train a conditioned bridge on; see `CurvePath`.

        Args:
            data: as in `model_at`; needed with batch normalization.
            steps: as in `model_at`, for each position.
            points: number of positions at which batch-norm statistics are estimated, ≥ 2.
        """
        return CurvePath(self, data, steps, points)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "network": to_config(self.network),
            "degree": self.degree,
            "kind": self.kind,
            "seed": self.seed,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Curve":
        network = keras.saving.deserialize_keras_object(config.pop("network"))
        return cls(network, **config)
