"""A run's networks, built once to be counted, and what their files take."""

import dataclasses
import functools
import json
import math

from bridge_tf.config import AUTO, Config
from bridge_tf.utils.errors import InputError

# Bytes that HDF5 adds for a layer and for an array; that NumPy's archives add for an array.
_OF_LAYER, _OF_ARRAY, _OF_NPZ = 2250, 360, 285
_FLOAT = 4


@dataclasses.dataclass(frozen=True)
class Network:
    """What of a network decides its costs.

    Attributes:
        flops: of one image's forward pass, by `bridge_tf.networks.flops`.
        trained, fixed: numbers in its variables that training changes by gradients, and in others.
        trained_arrays, fixed_arrays: how many variables these are.
        config: bytes of its architecture as JSON.
        outputs: numbers an image that all of its layers give.
        largest: numbers an image that the largest of these outputs has.
        layers: how many there are.
    """

    flops: int
    trained: int
    fixed: int
    trained_arrays: int
    fixed_arrays: int
    config: int
    outputs: int
    largest: int
    layers: int

    @classmethod
    def of(cls, model) -> "Network":
        """Of a built classifier, bridge or other Functional model.

        Raises:
            InputError: it is a subclassed one.
        """
        from bridge_tf.networks.flops import count_flops
        from bridge_tf.utils.graph import is_graph
        from bridge_tf.utils.keras_utils import to_config

        if not is_graph(model):
            raise InputError(
                f"--dry_run: can't tell what the subclassed network {model.name} takes; its layers "
                "show in Functional and Sequential models alone"
            )
        trained, fixed = model.trainable_variables, model.non_trainable_variables
        outputs = _outputs(model)
        return cls(
            count_flops(model),
            *(sum(math.prod(v.shape) for v in some) for some in (trained, fixed)),
            *(len(some) for some in (trained, fixed)),
            len(json.dumps(to_config(model))),
            sum(outputs),
            max(outputs),
            len(outputs),
        )

    @property
    def weights(self) -> int:
        """Bytes of its variables."""
        return _FLOAT * (self.trained + self.fixed)

    def file(self, more_trained: int = 0, more_fixed: int = 0) -> int:
        """Bytes of its .keras file.

        Args:
            more_trained, more_fixed: further copies of its variables in the file.
        """
        numbers = (1 + more_trained) * self.trained + (1 + more_fixed) * self.fixed
        arrays = (1 + more_trained) * self.trained_arrays + (1 + more_fixed) * self.fixed_arrays
        return _FLOAT * numbers + _OF_ARRAY * arrays + _OF_LAYER * self.layers + self.config

    def checkpoint(self, trained: int = 2, fixed: int = 1) -> int:
        """Bytes of a checkpoint with so many copies of its variables."""
        numbers = trained * self.trained + fixed * self.fixed
        arrays = trained * self.trained_arrays + fixed * self.fixed_arrays
        return _FLOAT * numbers + _OF_NPZ * arrays


def _outputs(model) -> list[int]:
    """Numbers an image in the output of each layer, those of models inside too."""
    import keras

    found = []
    for item in model.operations:
        if isinstance(item, keras.Model) and hasattr(item, "operations"):
            found += _outputs(item)
        elif not isinstance(item, keras.layers.InputLayer):
            shapes = [tensor.shape[1:] for tensor in keras.tree.flatten(item.output)]
            found.append(sum(math.prod(shape) for shape in shapes))
    return found


class Networks:
    """The networks of a run, each built when it is asked for.

    Args:
        config: the run's.
        image_shape: (height, width, channels) of its images.
        classes: their number.

    Raises (each attribute):
        InputError: the settings name no network, or one of which no bridge can be made.
    """

    def __init__(self, config: Config, image_shape: tuple[int, int, int], classes: int):
        self.config, self.image_shape, self.classes = config, tuple(image_shape), classes
        self._baselines: dict[str, Network] = {}

    @functools.cached_property
    def model(self):
        """The network with fresh weights, or with those of --modes."""
        from bridge_tf.utils.graph import with_input_shape
        from bridge_tf.networks import build_network
        from bridge_tf.networks.loading import read_model

        config = self.config
        if config.modes:
            return with_input_shape(read_model(config.modes[0], "modes"), self.image_shape)
        built = build_network(config.model, self.image_shape, self.classes, **self._options())
        return with_input_shape(built, self.image_shape)

    @functools.cached_property
    def mode(self) -> Network:
        """The network of the run."""
        return Network.of(self.model)

    @functools.cached_property
    def has_batch_norm(self) -> bool:
        """Whether members of curves have statistics to be re-estimated."""
        from bridge_tf.curves.batch_norm import batch_norms

        return bool(batch_norms(self.model))

    @functools.cached_property
    def _bridge_model(self):
        from bridge_tf.bridges.bridge import build_bridge
        from bridge_tf.bridges.tap_choice import WIDTHS, choose_bridge

        config = self.config
        kind = {
            "bridge_type": config.bridge_type,
            "residual": config.residual,
            "conditioned": config.conditioned,
        }
        taps, width = [*config.taps], config.bridge_width
        if config.taps == (AUTO,):
            widths = (width,) if width else WIDTHS
            choice = choose_bridge(self.model, config.bridge_budget, widths=widths, **kind)
            taps, width = [choice.tap], choice.width
        until = config.shared_until or None
        return build_bridge(self.model, taps, width, shared_until=until, **kind)

    @functools.cached_property
    def bridge(self) -> Network:
        """A bridge of the run."""
        return Network.of(self._bridge_model)

    @functools.cached_property
    def tapped(self) -> int:
        """FLOPs of an image in the modes that a bridge reads, in its training."""
        from bridge_tf.runs.cost_model.training_cost import tapped_flops

        return tapped_flops(self.model, self._bridge_model, self.config.repulsion)

    def trained(self, kind: str) -> Network:
        """The network whose weights a training changes, of a curve the one that it is made of.

        Args:
            kind: "mode", "curve", "bridge", or the name of a baseline.
        """
        if kind == "bridge":
            return self.bridge
        if kind not in ("batch_ensemble", "mc_dropout", "mimo"):
            return self.mode
        if kind not in self._baselines:
            self._baselines[kind] = Network.of(self._baseline_model(kind))
        return self._baselines[kind]

    def _baseline_model(self, kind: str):
        from bridge_tf.runs.stages.baselines import MIMO_SIZE
        from bridge_tf.ensembles.baselines import batch_ensemble, mc_dropout
        from bridge_tf.networks import build_network

        if kind != "mimo":
            build = batch_ensemble if kind == "batch_ensemble" else mc_dropout
            return build(self.model, self.config.num_modes)
        height, width, channels = self.image_shape
        shape, classes = (height, width, channels * MIMO_SIZE), self.classes * MIMO_SIZE
        options = self._options()
        for name in ("pixel_mean", "pixel_std"):  # they cost the same whatever they are
            options.pop(name, None)
        return build_network(self.config.model, shape, classes, **options)

    def _options(self) -> dict:
        from bridge_tf.networks import network_options

        return {name: getattr(self.config, name) for name in network_options(self.config.model)}
