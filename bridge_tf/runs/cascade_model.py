"""A cascade of a run as one object that predicts."""

import dataclasses
from typing import Any

import numpy as np

from bridge_tf.ensembles.bridge_ensemble import BridgeEnsemble
from bridge_tf.evaluation.early_exit import confidences


@dataclasses.dataclass(frozen=True)
class CascadeModel:
    """A row of the report that is a cascade, see `bridge_tf.evaluation.cascade`.

    Args:
        first, second: its stages, with their temperatures.
        threshold: the confidence of the first stage below which an image goes on.
    """

    first: BridgeEnsemble
    second: BridgeEnsemble
    threshold: float

    def predict(self, images: Any, batch_size: int = 500) -> dict[str, np.ndarray]:
        """Predicts by the first stage, and images of which it is unsure by the second.

        Args:
            images: N×H×W×C, raw pixels 0…255.
            batch_size: images that are computed at once.

        Returns:
            probabilities: N×classes, calibrated.
            goes_on: N, whether the second stage predicted them.
        """
        images = np.asarray(images)
        options = {"batch_size": batch_size, "verbose": 0}
        probabilities = self.first.predict(images, **options)["probabilities"]
        goes_on = confidences(np.log(probabilities.astype("float64"))) < self.threshold
        if goes_on.any():
            second = self.second.predict(images[goes_on], **options)
            probabilities[goes_on] = second["probabilities"]
        return {"probabilities": probabilities, "goes_on": goes_on}


def stages_of(name: str, num_modes: int) -> tuple[str, str]:
    """The rows that are the stages of a cascade's row, as `add_cascades` names it."""
    kind, _, number = name.rpartition("_")
    if kind == "cascade":
        return "single", f"deep_ensemble_{number}"
    return f"bridge_{number}", f"deep_ensemble_{num_modes}"
