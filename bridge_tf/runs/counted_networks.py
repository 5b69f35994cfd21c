"""A run's networks, built once to be counted."""

import dataclasses
import functools
import math

import keras

from bridge_tf.bridges.rescale import rebuild
from bridge_tf.config import AUTO, Config
from bridge_tf.config.fields import LONG_STUDENTS, SUB_ENSEMBLE, WIDE
from bridge_tf.curves.batch_norm import batch_norms
from bridge_tf.ensembles.baselines import batch_ensemble, mc_dropout
from bridge_tf.ensembles.baselines.mimo import mimo_network
from bridge_tf.ensembles.baselines.wide import width_for
from bridge_tf.networks import build_network, network_options
from bridge_tf.networks.flops import count_flops
from bridge_tf.networks.input_scale import with_input_scale
from bridge_tf.networks.loading import read_trained
from bridge_tf.runs.bridge_settings import choose_tap, configured_bridge
from bridge_tf.runs.training_cost import long_epochs, pool_passes, tapped_flops
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.graph import as_functional, is_graph, with_input_shape


@dataclasses.dataclass(frozen=True)
class Network:
    """FLOPs of one image's forward pass; numbers in its trainable variables, and in the others."""

    flops: int
    trained: int
    fixed: int

    @classmethod
    def of(cls, model) -> "Network":
        """Of a built Functional or Sequential model; InputError if it is subclassed."""
        if not is_graph(model):
            raise InputError(
                f"`dry_run`: can't tell what the subclassed network {model.name} takes; its layers "
                "show in Functional and Sequential models alone"
            )
        groups = model.trainable_variables, model.non_trainable_variables
        return cls(count_flops(model), *(sum(math.prod(v.shape) for v in some) for some in groups))

    def numbers(self, more: int = 0) -> int:
        """Numbers in its file, with so many further copies of what is trained."""
        return (1 + more) * self.trained + self.fixed


class Networks:
    """The networks of a run, each built on first use; `image_shape` is (height, width, channels).

    Raises (each attribute):
        InputError: the settings name no network, or one for which there is no bridge.
    """

    def __init__(self, config: Config, image_shape: tuple[int, int, int], classes: int):
        self.config, self.image_shape, self.classes = config, tuple(image_shape), classes
        self._baselines: dict[str, Network] = {}
        # Members that bridges answer for, and modes that the ensemble executes.
        self.places = len(config.bridge_pairs()) * len(config.positions or (config.r,))
        self.executed = config.num_modes if config.bridge_type == 2 else 1

    @functools.cached_property
    def model(self):
        """The network with fresh weights, or with those of `modes`."""
        config = self.config
        if config.modes:
            modes = [read_trained(path, "modes") for path in config.modes]
            mode = with_input_shape(modes[0], self.image_shape)
            return with_input_scale(mode, config.input_scale)
        built = build_network(config.model, self.image_shape, self.classes, **self._options())
        return with_input_shape(built, self.image_shape)

    @functools.cached_property
    def mode(self) -> Network:
        return Network.of(self.model)

    @functools.cached_property
    def has_batch_norm(self) -> bool:
        """Whether members of curves have statistics to be re-estimated."""
        return bool(batch_norms(self.model))

    @functools.cached_property
    def _bridge_model(self):
        return self._bridge_on(self.model)

    def _bridge_on(self, network):
        """A bridge behind `network`, with the taps and the width that the run's bridges have."""
        config = self.config
        taps, width = [*config.taps], config.bridge_width
        if config.taps == (AUTO,):
            choice = choose_tap(config, self.model)
            taps, width = [choice.tap], choice.width
        return configured_bridge(config, network, taps, width)

    @functools.cached_property
    def bridge(self) -> Network:
        return Network.of(self._bridge_model)

    @property
    def ensemble_flops(self) -> int:
        """FLOPs of an image in the largest bridge ensemble."""
        return self.executed * self.mode.flops + self.places * self.bridge.flops

    @functools.cached_property
    def wide_width(self) -> float:
        """The factor on the channels at which one network costs what that ensemble does."""
        return width_for(self.wide, self.ensemble_flops)

    @functools.cached_property
    def packed_width(self) -> float:
        """The factor on the channels at which as many networks as modes cost what one does."""
        return width_for(self.wide, round(self.mode.flops / self.config.num_modes))

    def wide(self, width: float | None = None):
        """The network with `wide_width` (or `width`) times the channels, and fresh weights."""
        width = self.wide_width if width is None else width
        options = self._options()
        if "norm" in options and not self.config.modes:  # a network of this package
            options["width"] *= width
            return build_network(self.config.model, self.image_shape, self.classes, **options)
        network = as_functional(self.model)
        inputs = keras.tree.map_structure(
            lambda tensor: keras.Input(tensor.shape[1:], dtype=tensor.dtype, name=tensor.name),
            network.input,
        )
        return rebuild(network, inputs, width)

    @functools.cached_property
    def tapped(self) -> int:
        """FLOPs of an image in a mode that bridges read, in their training."""
        return tapped_flops(self.model, self._bridge_model, self.config.repulsion)

    def behind(self, kind: str) -> int:
        """FLOPs of the bridges that are trained behind a student; 0 of all else."""
        count = self.config.student_bridges
        if not count or kind not in LONG_STUDENTS:
            return 0
        wide = kind in WIDE
        return count * (count_flops(self._bridge_on(self.wide())) if wide else self.bridge.flops)

    def pool_passes(self, rows: int) -> int:
        """Passes of the pool that bridges train on, of so many images; 0: there is none."""
        return pool_passes(self.config, self._bridge_model, rows)

    def long_epochs(self, rows: int) -> int:
        """Epochs of the baseline "long", of so many images each."""
        networks = self.mode.flops, self.bridge.flops, self.tapped
        return long_epochs(self.config, *networks, self.pool_passes(rows))

    def trained(self, kind: str) -> Network:
        """The network trained as "mode", "bridge" or a baseline; for "curve" one control point."""
        if kind in ("bridge", SUB_ENSEMBLE):
            return self.bridge
        if kind not in ("batch_ensemble", "mc_dropout", "mimo", "packed", *WIDE):
            return self.mode
        if kind not in self._baselines:
            self._baselines[kind] = Network.of(self._baseline_model(kind))
        return self._baselines[kind]

    def _baseline_model(self, kind: str):
        if kind == "mimo":
            name = self.config.model
            return mimo_network(name, self.image_shape, self.classes, **self._options())
        if kind in ("packed", *WIDE):
            return self.wide(self.packed_width if kind == "packed" else self.wide_width)
        build = batch_ensemble if kind == "batch_ensemble" else mc_dropout
        return build(self.model, self.config.num_modes)

    def _options(self) -> dict:
        return {name: getattr(self.config, name) for name in network_options(self.config.model)}
