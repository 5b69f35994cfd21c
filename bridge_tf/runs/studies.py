"""Experiments on the modes and curves of a finished run: what makes bridges good?

Each study yields rows, one a trained bridge, with its divergence from the curve member on the
test images. Bridges within a study are trained alike, from one seed.
"""

import functools
import itertools
from collections.abc import Iterator

import keras
import numpy as np

from bridge_tf import data
from bridge_tf.bridges.bridge import build_bridge
from bridge_tf.bridges.distillation import fit_bridge
from bridge_tf.bridges.tap_choice import WIDTHS, candidates_within, choose_bridge
from bridge_tf.curves.alignment import METHODS, align
from bridge_tf.curves.curve import Curve
from bridge_tf.ensembles.bridge_ensemble import BridgeEnsemble
from bridge_tf.evaluation import metrics
from bridge_tf.evaluation.scores import log_prob_predictor
from bridge_tf.networks.flops import count_flops
from bridge_tf.runs.bridge_settings import bridge_settings
from bridge_tf.runs.context import Run
from bridge_tf.training.trainers import fit_curve

_POSITIONS = (0.25, 0.5, 0.75)
_SEED = 1


class Studies:
    """Studies of the first `num_curves` curves of a run whose modes and curves are done.

    Args:
        budgets: of FLOPs, for `taps_and_widths`.
        shared_until: for `conditioned`, a layer up to which a further bridge, of width 1, is the
            same for all r.
    """

    def __init__(self, run: Run, num_curves: int, budgets: list[float], shared_until: str = ""):
        self.run, self.budgets, self.shared_until = run, budgets, shared_until
        self.pairs = run.config.curves()[:num_curves]
        self.base = run.load_base()
        self.flops = count_flops(self.base)
        self.taps, self.width = bridge_settings(run, self.base)
        self.test = run.data.test
        if shared_until:  # found wrong before anything is trained
            self._bridge(self.taps, 1.0, conditioned=True, shared_until=shared_until)

    def warm_start(self) -> Iterator[dict]:
        """Bridges of width 1 from fresh weights and from the member's, at equal steps."""
        epochs = self.run.config.bridge_epochs
        for pair, member in self._members():
            for share in (8, 4, 1):
                for warm in (False, True):
                    bridge = self._bridge(self.taps, 1.0, warm_start=member if warm else None)
                    yield {
                        "study": "warm_start",
                        "curve": list(pair),
                        "warm_start": warm,
                        **self._trained(bridge, member, max(1, epochs // share)),
                    }

    def taps_and_widths(self) -> Iterator[dict]:
        """For each budget the first bridge within it of each width, and which one auto takes."""
        for budget in self.budgets:
            found = candidates_within(self.base, budget, WIDTHS)
            chosen = choose_bridge(self.base, budget)
            for pair, member in self._members():
                for choice in found:
                    bridge = self._bridge(choice.tap, choice.width)
                    yield {
                        "study": "taps",
                        "curve": list(pair),
                        "budget": budget,
                        "tap": choice.tap,
                        "width": choice.width,
                        "auto": (choice.tap, choice.width) == (chosen.tap, chosen.width),
                        **self._trained(bridge, member, self.run.config.bridge_epochs),
                    }

    def conditioned(self) -> Iterator[dict]:
        """One bridge for all r against one bridge a position, at equal cost of inference.

        The conditioned bridge is trained as long as one of the others, and as long as all.
        """
        epochs = self.run.config.bridge_epochs
        for pair in self.pairs:
            curve = self.run.load_curve(pair)
            members = [self.run.member(curve, r) for r in _POSITIONS]
            for r, member in zip(_POSITIONS, members, strict=True):
                bridge = self._bridge(self.taps, self.width)
                yield {
                    "study": "conditioned",
                    "curve": list(pair),
                    "bridge": "one",
                    "width": self.width,
                    "shared_until": None,
                    "r": r,
                    **self._trained(bridge, member, epochs),
                }
            path = self.run.path(curve)
            bodies = [(self.width, None)]
            if self.shared_until:
                bodies.append((1.0, self.shared_until))
            for (width, shared), factor in itertools.product(bodies, (1, len(_POSITIONS))):
                bridge = self._bridge(self.taps, width, conditioned=True, shared_until=shared)
                self._fit(bridge, path, factor * epochs)
                predicted = self._predictions(bridge, _POSITIONS)
                together = self._relative_flops(bridge, _POSITIONS)
                for r, member, log_probs in zip(_POSITIONS, members, predicted, strict=True):
                    yield {
                        "study": "conditioned",
                        "curve": list(pair),
                        "bridge": "conditioned",
                        "width": width,
                        "shared_until": shared,
                        "r": r,
                        "epochs": factor * epochs,
                        "relative_flops": round(together / len(_POSITIONS), 4),
                        **self._closeness(member, log_probs),
                    }

    def alignment(self) -> Iterator[dict]:
        """Loss along the straight line and along a trained curve, with neurons matched or not."""
        for pair in self.pairs:
            start, end = (self.run.load_mode(k) for k in pair)
            images = self.run.alignment_images()
            for method in ("none", *METHODS):
                other = end if method == "none" else align(start, end, method, images)
                line = Curve.between(start, other, degree=1)
                curve = self.run.new_curve(start, other, seed=0)
                recipe = self.run.curve_recipe(self.run.config.curve_epochs, _SEED)
                fit = functools.partial(fit_curve, curve)
                self._train(fit, recipe, self.run.training_batches)
                yield {
                    "study": "alignment",
                    "curve": list(pair),
                    "align": method,
                    "line": [self._loss(line, r) for r in (0.0, *_POSITIONS, 1.0)],
                    "trained": [self._loss(curve, r) for r in (0.0, *_POSITIONS, 1.0)],
                }

    def _members(self) -> Iterator[tuple]:
        for pair in self.pairs:
            yield pair, self.run.member(self.run.load_curve(pair), self.run.config.r)

    def _bridge(self, taps, width: float, **options):
        keras.utils.set_random_seed(_SEED)
        residual = self.run.config.residual
        return build_bridge(self.base, taps, width, residual=residual, **options)

    def _trained(self, bridge, member, epochs: int) -> dict:
        self._fit(bridge, member, epochs)
        return {
            "epochs": epochs,
            "relative_flops": round(self._relative_flops(bridge), 4),
            **self._closeness(member, self._predictions(bridge)[0]),
        }

    def _fit(self, bridge, member, epochs: int) -> None:
        share = self.run.config.label_share
        fit = functools.partial(fit_bridge, bridge, self.base, member, label_share=share)
        self._train(fit, self.run.bridge_recipe(epochs, _SEED), self.run.bridge_batches)

    def _train(self, fit, recipe, batches) -> None:
        steps = data.steps_per_epoch(self.run.data.train, self.run.config.batch_size)
        fit(data=batches(recipe.epochs, _SEED), recipe=recipe, steps_per_epoch=steps)

    def _predictions(self, bridge, positions=()) -> list[np.ndarray]:
        ensemble = BridgeEnsemble(self.base, [bridge], positions=positions)
        return list(log_prob_predictor(ensemble)(self.test.images)[1:])

    def _closeness(self, member, log_probs: np.ndarray) -> dict:
        wanted = log_prob_predictor(member)(self.test.images)
        return {
            "kl": round(metrics.kl_divergence(wanted, log_probs), 4),
            "kl_base": round(metrics.kl_divergence(wanted, self._base_log_probs), 4),
            "agreement": round(metrics.agreement(wanted, log_probs), 4),
        }

    @functools.cached_property
    def _base_log_probs(self) -> np.ndarray:
        return log_prob_predictor(self.base)(self.test.images)

    def _relative_flops(self, bridge, positions=()) -> float:
        """FLOPs of a bridge at all positions, over the base's."""
        executed = count_flops(BridgeEnsemble(self.base, [bridge], positions=positions))
        return (executed - self._flops_alone) / self.flops

    @functools.cached_property
    def _flops_alone(self) -> int:
        return count_flops(BridgeEnsemble(self.base, []))

    def _loss(self, curve, r: float) -> float:
        log_probs = log_prob_predictor(self.run.member(curve, r))(self.test.images)
        return round(metrics.nll(log_probs, self.test.labels), 4)
