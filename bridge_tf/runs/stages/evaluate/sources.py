"""Where members' predictions come from: models, and the names of the members they answer for."""

import dataclasses
import functools
from collections.abc import Callable, Sequence

import numpy as np

from bridge_tf.evaluation.scores import log_prob_predictor


@dataclasses.dataclass(frozen=True)
class Source:
    """A model and its members.

    Args:
        name: of the files that keep its predictions; no other source has it.
        members: the name of the member that each of its answers is, in their order; None where
            another source answers for that member. A classifier gives one answer; what has an
            output `log_probabilities`, N×members×classes, as a `BridgeEnsemble` has, gives one a
            member. Names are tuples, as ("mode", 0).
        model: reads or builds the model, when it is needed.
        predictor: of `network_predictor`, to share it with networks that differ in their weights
            alone; default: one of its own.
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
        """N×classes of each of its members, by their names.

        Args:
            log_probs: what the function of `open` gave.
        """
        answers = [log_probs] if log_probs.ndim == 2 else log_probs
        return {
            name: answer
            for name, answer in zip(self.members, answers, strict=True)
            if name is not None
        }
