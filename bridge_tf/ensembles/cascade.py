"""A cascade as a model: a first stage for all images, further modes for those it is unsure of."""

import math
from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from bridge_tf.ensembles.bridge_ensemble import BridgeEnsemble, new_inputs, statistics
from bridge_tf.networks.classifier import as_classifier, logits_copy
from bridge_tf.utils.graph import extractor

# The outputs that both stages have.
CHOSEN = ("probabilities", "entropy", "mutual_information")


@keras.saving.register_keras_serializable(package="bridge_tf")
class CascadeEnsemble(keras.Model):
    """A first stage that predicts the images it is sure of; a deep ensemble predicts the others.

    Wang et al., "Wisdom of Committees" (ICLR 2022, section 4). The second stage is the mean of all
    modes' probabilities: of those that the first stage executes, which don't run again, and of
    `modes`. The first stage's bridges aren't members of it, nor is a base that is a student. All
    models are copied.

    As a Keras model it runs both stages on every image and selects; `bridge_tf.export` writes
    files that run the second stage for unsure images only.

    Args:
        first: the first stage; its `temperature` is that of its confidence and its predictions.
        modes: the second stage's further modes, at least one, of the first stage's classes.
        threshold: an image goes on if its top probability in the first stage, after temperature
            scaling, is below it; above 0. 0.9 for example; above 1 all images go on.
        temperature: T > 0 of the second stage's predictions, as in `BridgeEnsemble`.
        reused: how many of the networks that the first stage executes in full, the first ones, are
            members of the second stage too, 0 … their number, which is the default.
        name: of the model.

    Input: that of the first stage.

    Output: a dict of these, by name.

    - `probabilities`: N×classes, those of the stage that predicts an image, calibrated by its
      temperature.
    - `entropy`: N, of these probabilities, in nats.
    - `mutual_information`: N, in nats, ≥ 0: between the members of that stage; 0 if it is one
      network.
    - `goes_on`: N, booleans: whether the second stage predicts an image.
    - `stages`: N×2×classes, both stages' probabilities.

    Raises:
        ValueError: there are no modes, or a number or a mode's outputs don't fit.

    Example::

        first = bridge_tf.BridgeEnsemble(modes[0], [])
        cascade = bridge_tf.CascadeEnsemble(first, modes[1:], threshold=0.9)
        print(cascade.predict(images)["goes_on"].mean())
    """

    def __init__(
        self,
        first: BridgeEnsemble,
        modes: Sequence[keras.Model],
        threshold: float,
        temperature: float = 1.0,
        reused: int | None = None,
        name: str = "cascade",
    ):
        modes = [logits_copy(as_classifier(mode)) for mode in modes]
        executed = 1 + len(first.other_modes)
        reused = executed if reused is None else reused
        if not 0 <= reused <= executed:
            raise ValueError(f"reused must lie in 0 … {executed}. Received: reused={reused}")
        _check(first, modes, threshold, temperature)
        first = first.calibrated(first.temperature, first.base_temperature)
        inputs, classes = new_inputs(first.base), first.base.output_shape[-1]
        once = first(inputs)
        of_members = ops.unstack(once["log_probabilities"], _members_of(first), axis=1)
        images, logits, given, members = new_inputs(first.base), [], [], []
        if reused:
            given.append(keras.Input((reused, classes), name="log_probabilities"))
            members.append(ops.stack(of_members[:reused], axis=1))
            logits = ops.unstack(given[0], reused, axis=1)
        for k, mode in enumerate(modes, start=reused):
            logits += extractor(mode, [], logits=True, name=f"mode{k}")(images)
        second = keras.Model([images, *given], statistics(logits, temperature), name="second")
        then = second([inputs, *members])

        goes_on = _unsure(once["probabilities"], threshold)
        outputs = {key: _chosen(goes_on, then[key], once[key]) for key in CHOSEN}
        both = ops.stack([once["probabilities"], then["probabilities"]], axis=1)
        super().__init__(
            inputs=inputs, outputs={**outputs, "goes_on": goes_on, "stages": both}, name=name
        )
        self.first, self.second, self.modes = first, second, modes
        self.threshold, self.temperature = float(threshold), float(temperature)
        self.reused = reused

    def unsure(self, probabilities: Any) -> Any:
        """Which images go on, N booleans.

        Args:
            probabilities: the first stage's, N×classes, calibrated by its temperature.
        """
        return _unsure(probabilities, self.threshold)

    @property
    def base(self) -> keras.Model:
        """The base: logits, N×classes."""
        return self.first.base

    @property
    def base_temperature(self) -> float:
        """That of the base's predictions in the exported signature `base`."""
        return self.first.base_temperature

    @property
    def num_modes(self) -> int:
        """How many modes the second stage averages."""
        return self.reused + len(self.modes)

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        return {
            "first": serialize(self.first),
            "modes": [serialize(mode) for mode in self.modes],
            "threshold": self.threshold,
            "temperature": self.temperature,
            "reused": self.reused,
            "name": self.name,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: dict[str, Any] | None = None
    ) -> "CascadeEnsemble":
        load = keras.saving.deserialize_keras_object
        config = dict(config)
        modes = [load(mode, custom_objects) for mode in config.pop("modes")]
        return cls(load(config.pop("first"), custom_objects), modes, **config)


def _unsure(probabilities: Any, threshold: float) -> Any:
    return ops.max(probabilities, axis=-1) < threshold


def _chosen(goes_on: Any, second: Any, first: Any) -> Any:
    """Rows of the second stage's output where `goes_on`, N, and of the first's elsewhere."""
    for axis in range(1, len(first.shape)):
        goes_on = ops.expand_dims(goes_on, axis)
    return ops.where(goes_on, second, first)


def _members_of(ensemble: BridgeEnsemble) -> int:
    return ensemble.output["log_probabilities"].shape[1]


def _check(
    first: BridgeEnsemble, modes: list[keras.Model], threshold: float, temperature: float
) -> None:
    if not modes:
        raise ValueError("modes must be one network or more. Received: modes=[]")
    for mode in modes:
        if mode.output_shape != first.base.output_shape:
            raise ValueError(
                f"modes must give {first.base.output_shape}, as the first stage's. Received: "
                f"{mode.name} gives {mode.output_shape}"
            )
    for key, value in (("threshold", threshold), ("temperature", temperature)):
        if not 0 < value < math.inf:
            raise ValueError(f"{key} must be positive and finite. Received: {key}={value}")
