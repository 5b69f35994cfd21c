"""Where predictions come from: models, and the members of ensembles that they predict for."""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np

from bridge_tf.evaluation.scores import log_prob_predictor


@dataclasses.dataclass(frozen=True)
class Source:
    """A model and its members.

    Args:
        name: unique; files that keep its predictions are named by it.
        members: names of the members that it predicts for, as ("mode", 0), in the order of its
            predictions; None for a member of another source. A classifier has one; a model with
            the output `log_probabilities`, N×members×classes, as `BridgeEnsemble`, several.
        model: reads or builds the model, when it is needed.
        predictor: of `network_predictor`, shared by networks that differ in their weights alone;
            default: one of its own.
    """

    name: str
    members: Sequence[tuple | None]
    model: Callable[[], object]
    predictor: Callable | None = None

    def open(self) -> Callable[[np.ndarray], np.ndarray]:
        """A function from images to log-probabilities, N×classes or members×N×classes."""
        model = self.model()
        if self.predictor:
            return functools.partial(self.predictor, model)
        return log_prob_predictor(model)

    def by_member(self, log_probs: np.ndarray) -> dict[tuple, np.ndarray]:
        """N×classes of each of its members, by names, from what the function of `open` gave."""
        by_member = [log_probs] if log_probs.ndim == 2 else log_probs
        return {
            name: predicted
            for name, predicted in zip(self.members, by_member, strict=True)
            if name is not None
        }
