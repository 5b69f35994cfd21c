"""A run: its configuration, its files, its data, and how its models are built and read.

Nothing here trains, measures or exports: that is for `bridge_tf.runs.stages`.
"""

import functools
import pathlib
import zlib

import keras
import numpy as np

from bridge_tf import data
from bridge_tf.config import STAGES, Config
from bridge_tf.config.fields import MIXUP_ALPHA
from bridge_tf.config.inputs import check_source
from bridge_tf.curves.batch_norm import batch_norms
from bridge_tf.curves.curve import Curve
from bridge_tf.data.labels import balanced_weights
from bridge_tf.networks import build_network, network_options
from bridge_tf.networks.architecture import fits, fits_classes, fresh_copy, size_remedy
from bridge_tf.networks.classifier import check_exclusive
from bridge_tf.networks.input_scale import with_input_scale
from bridge_tf.networks.loading import read_as, read_trained
from bridge_tf.runs.task_graph import TaskGraph
from bridge_tf.runs.work_dir import WorkDir
from bridge_tf.training.distribution.devices import Devices
from bridge_tf.training.recipe import Recipe
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.files import sha256
from bridge_tf.utils.graph import as_functional, is_graph, rename_operations, with_input_shape

# Enough images to estimate means and variances of channels; more change the third digit.
REESTIMATION_BATCHES = 100
# Enough to correlate activations by.
_ALIGNMENT_IMAGES = 1000
_RECIPE = (
    "learning_rate momentum nesterov weight_decay warmup_epochs label_smoothing precision".split()
)
_AGAIN = "remove it and train again"


class Run:
    """A run of `config` in the work directory `workdir`.

    Args:
        stages: names of the requested stages.
        wait: wait while another process writes there; else that is an error.
        repair: make damaged files again; else they are errors.
        prints: print the recommendation and the table when the report is written.
    """

    def __init__(
        self,
        config: Config,
        workdir,
        stages=STAGES,
        *,
        wait: bool = False,
        repair: bool = False,
        prints: bool = True,
    ):
        self.prints = prints
        self.config, self.stages, self.wait = config, tuple(stages), wait
        self.files = WorkDir(workdir, repair)

    @functools.cached_property
    def graph(self) -> TaskGraph:
        return TaskGraph(self.config)

    @functools.cached_property
    def data(self) -> data.Dataset:
        config = self.config
        check_source("dataset", config.dataset, config.data_dir)
        return data.load_dataset(
            config.dataset,
            config.data_dir or None,
            seed=config.split_seed,
            validation_fraction=config.validation_fraction,
            image_size=config.image_size,
            skip_bad_images=config.skip_bad_images,
            max_images=config.max_images,
            validate_on="test" if config.validates_on_test else "train",
            exif=config.exif,
        )

    @functools.cached_property
    def devices(self) -> Devices | None:
        """The devices that share the batches of each training; None is one device.

        With `hosts` this waits for the other processes, and must come before anything is computed.
        """
        config = self.config
        return Devices.of(config.devices, config.hosts, config.process_id, config.batch_size)

    @functools.cached_property
    def inputs(self) -> dict[str, str]:
        """Digests of what the run is made from, by the settings that name it."""
        found = {"dataset": self.data.digest}
        for name in ("model", "weights"):
            path = pathlib.Path(getattr(self.config, name))
            if path.is_file():
                found[name] = sha256(path)
        return found

    @property
    def positions(self) -> tuple[float, ...]:
        """The positions r on a curve that its bridge predicts; 1 where it predicts modes."""
        if self.config.bridge_target != "curve":
            return (1.0,)
        return self.config.positions or (self.config.r,)

    def places(self, pairs) -> list[tuple]:
        """(pair, r) of each bridge member of these curves, in the ensemble's order."""
        return [(pair, r) for pair in pairs for r in self.positions]

    def seed(self, task: str) -> int:
        """The seed of one training of the run."""
        # Not hash(), which differs between processes.
        return zlib.crc32(f"{self.config.seed}:{task}".encode()) & 0x7FFFFFFF

    # Recipes and batches

    @functools.cached_property
    def class_weight(self) -> dict[int, float] | None:
        """The weights of the classes in trainings by labels; None if all are 1."""
        if self.config.class_weight == "none":
            return None
        return balanced_weights(self.data.train.labels)

    def recipe(self, epochs: int, seed: int, **changes) -> Recipe:
        """The run's recipe, with `changes`."""
        values = {name: getattr(self.config, name) for name in _RECIPE}
        return Recipe(epochs=epochs, seed=seed, jit_compile=self.config.jit, **(values | changes))

    def curve_recipe(self, epochs: int, seed: int) -> Recipe:
        return self.recipe(epochs, seed, weight_decay=self.config.curve_weight_decay)

    def bridge_recipe(self, epochs: int, seed: int) -> Recipe:
        config = self.config
        return self.recipe(
            epochs,
            seed,
            learning_rate=config.bridge_learning_rate,
            weight_decay=config.bridge_weight_decay,
        )

    def training_batches(self, epochs: int, seed: int, first_step=0, **mixing):
        """Batches of the run's training images, augmented as its settings say."""
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

    def bridge_batches(self, epochs: int, seed: int, first_step=0, labels=False):
        """The same for bridges: mixed as the settings say, and so are the `labels` if needed."""
        alpha = self.config.mixup_alpha
        return self._soft_batches(alpha, labels, epochs, seed, first_step)

    def mixed_batches(self, epochs: int, seed: int, first_step=0, labels=False):
        """The same for baselines that are about mixing: mixed whether the bridges' are or not."""
        alpha = self.config.mixup_alpha or MIXUP_ALPHA
        return self._soft_batches(alpha, labels, epochs, seed, first_step)

    def _soft_batches(self, alpha: float, labels: bool, epochs: int, seed: int, first_step: int):
        soft = self.data.num_classes if self.config.label_share or labels else 0
        return self.training_batches(epochs, seed, first_step, mixup_alpha=alpha, soft_labels=soft)

    def statistics_images(self):
        """Batches of training images to re-estimate batch-norm statistics on."""
        batches = self.training_batches(1, self.seed("statistics"))
        return batches.map(lambda images, labels: images).take(REESTIMATION_BATCHES)

    def alignment_images(self) -> np.ndarray:
        """The training images by whose activations neurons are matched."""
        images = self.data.train.limited(_ALIGNMENT_IMAGES).images
        return np.asarray(images).astype("float32")

    # Models

    def network_options(self) -> dict:
        """The settings of the run that its network takes."""
        return {name: getattr(self.config, name) for name in network_options(self.config.model)}

    def given_mode(self, path) -> keras.Model:
        """A trained mode that the configuration names, for the run's images and classes."""
        mode = read_trained(path, "modes")
        return self.for_images(mode, f"`modes`: {path}", "name networks for these data")

    def build(self) -> keras.Model:
        """The network of the run with fresh weights; with `modes`, of their architecture."""
        if self.config.modes:
            if self.files.mode(0).exists():
                return fresh_copy(self.load_mode(0))
            mode = self.given_mode(self.config.modes[0])
            return fresh_copy(with_input_scale(mode, self.config.input_scale))
        shape, classes = self.data.image_shape, self.data.num_classes
        network = build_network(self.config.model, shape, classes, **self.network_options())
        return with_input_shape(network, self.data.image_shape)

    def load(self, path: pathlib.Path, kind: type):
        """Reads a .keras file of the run, which must hold a `kind`.

        Raises:
            InputError: it is damaged or holds something else.
        """
        self.files.verify(path)
        return read_as(path, kind, _AGAIN)

    def load_mode(self, index: int) -> keras.Model:
        """A trained mode; errors as in `load`, or if it isn't for the run's images and classes."""
        path = self.files.mode(index)
        mode = self.for_images(self.load(path, keras.Model), path, _AGAIN)
        if index and self.operation_names and is_graph(mode):
            if len(as_functional(mode).operations) != len(self.operation_names):
                raise InputError(f"{path} is of another architecture than {self.files.mode(0)}")
            rename_operations(mode, self.operation_names)
        return mode

    @property
    def base(self) -> pathlib.Path:
        """The file of the network that bridges read."""
        return self.files.base if self.config.distil_base else self.files.mode(0)

    def load_base(self) -> keras.Model:
        """The network that bridges read; errors as in `load_mode`."""
        if not self.config.distil_base:
            return self.load_mode(0)
        return self.load(self.files.base, keras.Model)

    @functools.cached_property
    def operation_names(self) -> list[str]:
        """The names of the base's operations, which taps are named by, or none.

        Keras numbers operations without a name, so that modes from elsewhere may have others.
        """
        if not self.files.mode(0).exists():
            return []
        base = self.load_mode(0)
        return [item.name for item in as_functional(base).operations] if is_graph(base) else []

    def for_images(self, mode, name, remedy: str) -> keras.Model:
        """The network with its open sizes set to those of the run's images.

        Raises:
            InputError: it isn't for the run's images and classes; the message begins with `name`
                and ends in `remedy`.
        """
        wanted = [(None, *self.data.image_shape), (None, self.data.num_classes)]
        # A subclassed model has no static shapes.
        found = [getattr(mode, name, None) for name in ("input_shape", "output_shape")]
        rules = fits(found[0], wanted[0]), fits_classes(found[1], self.data.num_classes)
        if not all(fit for shape, fit in zip(found, rules, strict=True) if shape):
            raise InputError(
                f"{name} maps {found[0]} to {found[1]}, but the run's images and classes need "
                f"{wanted[0]} to {wanted[1]}; {remedy}{size_remedy(found[0], wanted[0][1:])}"
            )
        check_exclusive(mode, f"{name}:")
        return with_input_shape(mode, self.data.image_shape)

    def load_curve(self, pair: tuple[int, int]) -> Curve:
        """The curve between two modes; errors as in `load`."""
        return self.load(self.files.curve(pair), Curve)

    def new_curve(self, start, end, seed: int) -> Curve:
        """An untrained curve of the run's shape between two networks."""
        config = self.config
        return Curve.between(
            start, end, degree=config.curve_degree, kind=config.curve_kind, seed=seed
        )

    def member(self, curve, r: float) -> keras.Model:
        """A curve's member at r, its batch-norm statistics re-estimated."""
        return curve.model_at(r, self.statistics_images() if batch_norms(curve.network) else None)

    def path(self, curve):
        """A curve's members at all r, for conditioned bridges."""
        return curve.path(self.statistics_images())
