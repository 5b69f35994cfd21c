"""What an evaluation predicts: forward passes, and answers that it keeps."""

import numpy as np

from bridge_tf.runs.stages.baselines import MIMO_SIZE, TRAINED
from bridge_tf.config import Config
from bridge_tf.runs.cost_model.networks import Networks
from bridge_tf.data.corruptions import SEVERITIES
from bridge_tf.runs.context import REESTIMATION_BATCHES

# Inner points of a curve at which a conditioned bridge's training needs them.
_PATH_POINTS = 15


class Predicted:
    """What an evaluation predicts, by `bridge_tf.runs.stages.evaluate.predictions`.

    Args:
        config: the run's.
        sizes: `DataSizes` of its data. Of --ood_dataset as many images are assumed as of the test
            split.
        networks: its networks.
    """

    def __init__(self, config: Config, sizes, networks: Networks):
        self.config, self.sizes, self.networks = config, sizes, networks
        self.positions = config.positions or (config.r,)
        # Members that bridges answer for, and modes that the ensemble executes.
        self.places = len(config.curves()) * len(self.positions)
        self.executed = config.num_modes if config.bridge_type == 2 else 1
        corrupted = min(config.corruption_images, sizes.test) * len(SEVERITIES)
        elsewhere = corrupted * len(config.corruptions) + bool(config.ood_dataset) * sizes.test
        self.images = sizes.test + sizes.validation + elsewhere
        inner = np.linspace(0, 1, config.curve_points)[1:-1]
        # Points along all curves and straight lines that are predicted on the test split alone.
        points = len(inner) + sum(r not in self.positions for r in inner)
        self.points = points * len(config.curves())

    def baselines(self) -> dict[str, int]:
        """The members of each baseline that is trained."""
        modes = self.config.num_modes
        members = {"swa": 1, "distillation": 1, "fge": modes - 1, "mimo": MIMO_SIZE}
        return {n: members.get(n, modes) for n in self.config.baselines if n in TRAINED}

    @property
    def members(self) -> int:
        """Members whose answers stay in memory until the report is written."""
        return self.config.num_modes + 2 * self.places + sum(self.baselines().values())

    @property
    def answers(self) -> int:
        """Answers for an image that are kept on disk; the ensemble's hold those of its modes."""
        again = self.executed * self.images
        return self.members * self.images + again + self.points * self.sizes.test

    @property
    def ensemble_flops(self) -> int:
        """FLOPs of an image in the ensemble."""
        modes = self.executed * self.networks.mode.flops
        return modes + self.places * self.networks.bridge.flops

    @property
    def flops(self) -> int:
        """FLOPs of an evaluation."""
        network, images = self.networks.mode.flops, self.images
        total = images * (self.config.num_modes + self.places) * network
        total += self.points * self.sizes.test * network
        total += images * self.ensemble_flops
        for name, members in self.baselines().items():
            each = self.networks.trained(name).flops
            total += images * each * (1 if name == "mimo" else members)
        return total + (self.places + self.points) * self.reestimation_flops

    @property
    def reestimation_flops(self) -> int:
        """FLOPs of re-estimating one member's batch-norm statistics, if it has any."""
        batch = self.config.batch_size
        images = batch * min(REESTIMATION_BATCHES, self.sizes.train // batch)
        return images * self.networks.mode.flops if self.networks.has_batch_norm else 0

    @property
    def reestimations(self) -> dict[str, int]:
        """How often that is done in trainings, by their kinds."""
        return {"bridge": _PATH_POINTS if self.config.conditioned else 1, "swa": 1}

    @property
    def export_flops(self) -> int:
        """FLOPs of an export: the Keras model, files compared with it, and what these are worth."""
        kinds = len({"float32", *self.config.tflite})
        of_files = self._compared_flops + kinds * self.sizes.test * self.ensemble_flops
        return self.keras_export_flops + of_files

    @property
    def keras_export_flops(self) -> int:
        """Those of them that the Keras model computes."""
        images = self.sizes.test + self.sizes.validation
        return self._compared_flops + images * self.ensemble_flops

    @property
    def _compared_flops(self) -> int:
        """FLOPs of all signatures on the test split."""
        return self.sizes.test * (2 * self.ensemble_flops + self.networks.mode.flops)
