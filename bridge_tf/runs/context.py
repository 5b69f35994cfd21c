"""A run: its configuration, its files, its data, and the models that they make.

The stages of `bridge_tf.runs.runner` and the comparison read everything from here.
"""

import dataclasses
import functools
import json
import pathlib
import zlib

import keras
import numpy as np

from bridge_tf import data
from bridge_tf.networks import saving as model_files
from bridge_tf.config import AUTO, Config
from bridge_tf.curves.curve import Curve
from bridge_tf.ensembles.bridge_ensemble import BridgeEnsemble
from bridge_tf.utils.errors import InputError, reason
from bridge_tf.utils.files import sha256
from bridge_tf.utils.graph import as_functional, is_graph, rename_operations, with_input_shape
from bridge_tf.networks import build_network, network_options
from bridge_tf.networks.architecture import fits
from bridge_tf.utils.terminal import say
from bridge_tf.bridges.tap_choice import WIDTHS, choose_bridge
from bridge_tf.training.recipe import Recipe
from bridge_tf.runs.work_dir import WorkDir

# Enough images to estimate means and variances of channels; more change the third digit.
REESTIMATION_BATCHES = 100
# Enough to correlate activations by.
_ALIGNMENT_IMAGES = 1000


class Run:
    """A run of `config` in the work directory `workdir`.

    Args:
        wait: while another process writes there; else that is an error.
        repair: make damaged files again; else they are errors.

    Attributes:
        config: every setting.
        files: the work directory.
    """

    def __init__(self, config: Config, workdir, wait: bool = False, repair: bool = False):
        self.config = config
        self.files = WorkDir(workdir, repair)
        self.wait = wait

    @functools.cached_property
    def data(self) -> data.Dataset:
        config = self.config
        return data.load_dataset(
            config.dataset,
            config.data_dir or None,
            seed=config.seed,
            validation_fraction=config.validation_fraction,
            image_size=config.image_size,
            skip_bad_images=config.skip_bad_images,
            max_images=config.max_images,
        )

    @functools.cached_property
    def inputs(self) -> dict[str, str]:
        """Digests of what the run is made from, by the flags that name it."""
        found = {"--dataset": self.data.digest}
        for flag in ("model", "weights"):
            path = pathlib.Path(getattr(self.config, flag))
            if path.is_file():
                found[f"--{flag}"] = sha256(path)
        return found

    def build(self) -> keras.Model:
        """The network of the run with fresh weights."""
        shape, classes = self.data.image_shape, self.data.num_classes
        network = build_network(self.config.model, shape, classes, **self.network_options())
        return with_input_shape(network, self.data.image_shape)

    def network_options(self) -> dict:
        """The settings of the run that its network takes."""
        return {name: getattr(self.config, name) for name in network_options(self.config.model)}

    @property
    def positions(self) -> tuple[float, ...]:
        """The positions on a curve at which its bridge answers."""
        return self.config.positions or (self.config.r,)

    @property
    def measured_files(self) -> list[pathlib.Path]:
        """The files that the report is made from."""
        files, pairs = self.files, self.config.curves()
        paths = [files.mode(k) for k in range(self.config.num_modes)]
        paths += [files.curve(pair) for pair in pairs] + [files.bridge(pair) for pair in pairs]
        return [*paths, files.ensemble]

    def bridge_settings(self, base=None) -> tuple[list[str], float]:
        """The taps and the width of the run's bridges.

        Args:
            base: a network of the run's architecture; default: mode 0. With --taps=auto, they
                are chosen for it unless an earlier choice is on file.

        Raises:
            InputError: no bridge keeps to --bridge_budget.
        """
        config = self.config
        if config.taps != (AUTO,):
            return list(config.taps), config.bridge_width
        known = self.files.current(self.files.choice, []) or self.files.choice.exists()
        if known:
            try:
                choice = json.loads(self.files.choice.read_text(encoding="utf-8"))
                return [choice["tap"]], choice["width"]
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(
                    f"{self.files.choice} can't be read ({reason(error)}); remove it and run "
                    "bin/train again"
                ) from error
        choice = choose_bridge(
            base or self.load_mode(0),
            config.bridge_budget,
            widths=(config.bridge_width,) if config.bridge_width else WIDTHS,
            bridge_type=config.bridge_type,
            residual=config.residual,
            conditioned=config.conditioned,
        )
        if base is None:
            say(
                f"bridges: --taps=auto chose '{choice.tap}' at width {choice.width:g}, "
                f"{choice.relative_flops:.3f} of the base's FLOPs: {choice.why}"
            )
            self.files.write_json(self.files.choice, dataclasses.asdict(choice))
        return [choice.tap], choice.width

    def other_images(self) -> tuple[str, np.ndarray]:
        """The name of --ood_dataset, and its test images as the run's networks take them.

        Raises:
            InputError: they can't be read, or can't be brought to the size and channels.
        """
        from bridge_tf.data.ood_images import load_other_images

        config = self.config
        return load_other_images(
            config.ood_dataset,
            config.data_dir or None,
            self.data.image_shape,
            skip_bad_images=config.skip_bad_images,
            max_images=config.max_images,
        )

    def seed(self, task: str) -> int:
        """The seed of one training of the run."""
        # Not hash(), which differs between processes.
        return zlib.crc32(f"{self.config.seed}:{task}".encode()) & 0x7FFFFFFF

    def recipe(self, epochs: int, seed: int, **changes) -> Recipe:
        """The run's recipe, with `changes`."""
        config = self.config
        values = {
            name: getattr(config, name)
            for name in (
                "learning_rate",
                "momentum",
                "nesterov",
                "weight_decay",
                "warmup_epochs",
                "jit_compile",
            )
        }
        return Recipe(epochs=epochs, seed=seed, **(values | changes))

    def curve_recipe(self, epochs: int, seed: int) -> Recipe:
        """The run's recipe for curves."""
        return self.recipe(epochs, seed, weight_decay=self.config.curve_weight_decay)

    def bridge_recipe(self, epochs: int, seed: int) -> Recipe:
        """The run's recipe for bridges."""
        config = self.config
        return self.recipe(
            epochs,
            seed,
            learning_rate=config.bridge_learning_rate,
            weight_decay=config.bridge_weight_decay,
        )

    def training_batches(self, epochs: int, seed: int, first_step=0, **mixing):
        """Batches of the run's training images, augmented as its flags say."""
        return data.training_batches(
            self.data.train,
            self.config.batch_size,
            epochs=epochs,
            seed=seed,
            first_step=first_step,
            augment=self.config.augment,
            crop_padding=self.config.crop_padding,
            **mixing,
        )

    def bridge_batches(self, epochs: int, seed: int, first_step=0):
        """The same for bridges: mixed as the flags say."""
        soft = self.data.num_classes if self.config.label_share else 0
        alpha = self.config.mixup_alpha
        return self.training_batches(epochs, seed, first_step, mixup_alpha=alpha, soft_labels=soft)

    def load_mode(self, index: int) -> keras.Model:
        """A trained mode.

        Raises:
            InputError: as `load`, or it isn't for the run's images and classes.
        """
        path = self.files.mode(index)
        mode = self.load(path, keras.Model)
        mode = self.for_images(mode, path, "remove it and run bin/train again")
        if index and self.operation_names and is_graph(mode):
            if len(as_functional(mode).operations) != len(self.operation_names):
                raise InputError(f"{path} is of another architecture than {self.files.mode(0)}")
            rename_operations(mode, self.operation_names)
        return mode

    @functools.cached_property
    def operation_names(self) -> list[str]:
        """The names of the base's operations, which taps are named by, or none.

        Keras numbers what has no name of its own, so that modes from elsewhere may have others.
        """
        if not self.files.mode(0).exists():
            return []
        base = self.load_mode(0)
        return [item.name for item in as_functional(base).operations] if is_graph(base) else []

    def for_images(self, mode, path, remedy: str) -> keras.Model:
        """A network that is for the run's images and classes, sizes that it leaves open closed.

        Raises:
            InputError: it isn't; the message names `path` and ends in `remedy`.
        """
        wanted = [(None, *self.data.image_shape), (None, self.data.num_classes)]
        # A subclassed model has no static shapes.
        found = [getattr(mode, name, None) for name in ("input_shape", "output_shape")]
        if not all(fits(*pair) for pair in zip(found, wanted, strict=True) if pair[0]):
            raise InputError(
                f"{path} maps {found[0]} to {found[1]}, but the run's images and classes need "
                f"{wanted[0]} to {wanted[1]}; {remedy}"
            )
        return with_input_shape(mode, self.data.image_shape)

    def load_curve(self, pair: tuple[int, int]) -> Curve:
        """The curve between two modes; errors as in `load`."""
        return self.load(self.files.curve(pair), Curve)

    def load(self, path: pathlib.Path, kind: type):
        """Reads a .keras file of the run, which must hold a `kind`.

        Raises:
            InputError: it is damaged or holds something else; the message says how to make it
                again.
        """
        self.files.verify(path)
        return model_files.read(path, kind, "remove it and run bin/train again")

    def new_curve(self, start, end, seed: int) -> Curve:
        """An untrained curve of the run's shape between two networks."""
        config = self.config
        return Curve.between(
            start, end, degree=config.curve_degree, kind=config.curve_kind, seed=seed
        )

    def alignment_images(self):
        """The training images by whose activations neurons are matched."""
        images = self.data.train.limited(_ALIGNMENT_IMAGES).images
        return np.asarray(images).astype("float32")

    def member(self, curve, r: float) -> keras.Model:
        """A curve's member at r, its batch-norm statistics re-estimated."""
        return curve.model_at(r, self.statistics_images())

    def path(self, curve):
        """A curve's members at all r, for conditioned bridges."""
        return curve.path(self.statistics_images())

    def statistics_images(self):
        """Batches of training images to re-estimate batch-norm statistics on."""
        batches = self.training_batches(1, self.seed("statistics"))
        return batches.map(lambda images, labels: images).take(REESTIMATION_BATCHES)

    def build_ensemble(self) -> BridgeEnsemble:
        """The base with the bridges, from their files, and the modes that they read."""
        pairs = self.config.curves()
        bridges = [self.load(self.files.bridge(pair), keras.Model) for pair in pairs]
        base = self.load_mode(0)
        positions = self.positions if self.config.conditioned else ()
        if self.config.bridge_type == 1:
            return BridgeEnsemble(base, bridges, positions=positions)
        modes = [self.load_mode(k) for k in range(1, self.config.num_modes)]
        return BridgeEnsemble(base, bridges, modes, ends=pairs, positions=positions)
