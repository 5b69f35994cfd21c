"""What an evaluation and an export cost: forward passes."""

import numpy as np

from bridge_tf.config import Config
from bridge_tf.config.fields import SINGLE_NETWORKS, SUB_ENSEMBLE, TRAINED_BASELINES, WIDE
from bridge_tf.data.corruptions import SEVERITIES
from bridge_tf.runs.context import REESTIMATION_BATCHES
from bridge_tf.runs.counted_networks import Networks

# Inner points of a curve at which a conditioned bridge's training needs them.
_PATH_POINTS = 15


class EvaluationCost:
    """FLOPs of predictions, as `bridge_tf.runs.stages.evaluate.predictions` makes them.

    `sizes` are `DataSizes`; `ood_dataset` is assumed to be as large as the test split.
    """

    def __init__(self, config: Config, sizes, networks: Networks):
        self.config, self.sizes, self.networks = config, sizes, networks
        positions = config.positions or (config.r,)
        # Members of curves.
        self.places = networks.places if config.curves() else 0
        corrupted = min(config.corruption_images, sizes.test) * len(SEVERITIES)
        elsewhere = corrupted * len(config.corruptions) + bool(config.ood_dataset) * sizes.test
        self.images = sizes.test + sizes.validation + elsewhere
        inner = np.linspace(0, 1, config.curve_points)[1:-1]
        # Points along all curves and straight lines that are predicted on the test split alone.
        points = len(inner) + sum(r not in positions for r in inner)
        self.points = points * len(config.curves())

    @property
    def flops(self) -> int:
        """FLOPs of an evaluation."""
        network, images = self.networks.mode.flops, self.images
        total = images * (self.config.num_modes + self.places) * network
        total += self.points * self.sizes.test * network
        total += images * self.networks.ensemble_flops
        for name in self.config.baselines:
            if name == SUB_ENSEMBLE:
                total += images * self.networks.ensemble_flops
            elif name in TRAINED_BASELINES:
                total += images * self._passes(name) * self.networks.trained(name).flops
        return total + (self.places + self.points) * self._reestimation

    def reestimations(self, kind: str) -> int:
        """FLOPs of re-estimating batch-norm statistics in a training of this kind."""
        conditioned = _PATH_POINTS if self.config.conditioned else 1
        return {"bridge": conditioned, "swa": 1}.get(kind, 0) * self._reestimation

    @property
    def export_flops(self) -> int:
        """FLOPs of an export: the Keras model, files compared with it, and what these are worth."""
        kinds = len({"float32", *self.config.tflite})
        of_files = self._compared_flops + kinds * self.sizes.test * self.networks.ensemble_flops
        return self.keras_export_flops + of_files

    @property
    def keras_export_flops(self) -> int:
        """Those of them that the Keras model computes."""
        images = self.sizes.test + self.sizes.validation
        return self._compared_flops + images * self.networks.ensemble_flops

    def _passes(self, baseline: str) -> int:
        """Forward passes of a baseline's network for an image: one a member, as a rule."""
        modes = self.config.num_modes
        one = dict.fromkeys([*SINGLE_NETWORKS, *WIDE, "laplace", "mimo"], 1)
        return {**one, "fge": modes - 1}.get(baseline, modes)

    @property
    def _reestimation(self) -> int:
        """FLOPs of re-estimating one member's batch-norm statistics, if it has any."""
        batch = self.config.batch_size
        images = batch * min(REESTIMATION_BATCHES, self.sizes.train // batch)
        return images * self.networks.mode.flops if self.networks.has_batch_norm else 0

    @property
    def _compared_flops(self) -> int:
        """FLOPs of all signatures on the test split."""
        return self.sizes.test * (2 * self.networks.ensemble_flops + self.networks.mode.flops)
