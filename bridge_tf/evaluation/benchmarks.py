"""Speed, as ratios within one process: two functions are timed in turn, round by round."""

import contextlib
import pathlib
import statistics
import tempfile
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from bridge_tf import data
from bridge_tf.bridges.bridge import bridge_features, build_bridge
from bridge_tf.bridges.distillation import BridgeTraining, Distillation
from bridge_tf.bridges.pool import Pool, member_table, mode_table
from bridge_tf.bridges.tap_choice import WIDTHS, choose_bridge
from bridge_tf.bridges.teachers import Teachers
from bridge_tf.config import AUTO, Config
from bridge_tf.curves.curve import Curve
from bridge_tf.data.stored_batches import stored_batches
from bridge_tf.evaluation.latency import in_turn, seconds
from bridge_tf.networks import build_network, network_options
from bridge_tf.training.cpu_kernels import cpu_kernels
from bridge_tf.training.precision import computing_in
from bridge_tf.training.recipe import Recipe
from bridge_tf.utils.graph import extractor
from bridge_tf.utils.keras_utils import clone
from bridge_tf.utils.memory import peak_of
from bridge_tf.utils.terminal import logger

_CLASSES = 10


class Benchmarks:
    """Training steps on random images, timed relative to a plain step.

    Args:
        config: uses the network's settings, image_size (0: 32), taps, bridge_width, batch_size,
            jit_compile and precision.
        steps: number of steps in a timing.
        rounds: number of timings of each function; the fastest counts.
    """

    def __init__(self, config: Config, steps: int = 30, rounds: int = 7):
        self.config, self.steps, self.rounds = config, steps, rounds
        self.recipe = Recipe(
            epochs=1, learning_rate=1e-3, jit_compile=config.jit, precision=config.precision
        )
        size = config.image_size or 32
        options = {name: getattr(config, name) for name in network_options(config.model)}
        self.base, self.end = (
            build_network(config.model, (size, size, 3), _CLASSES, **options) for _ in range(2)
        )
        self.batch_size = batch_size = config.batch_size
        generator = np.random.default_rng(0)
        images = generator.integers(0, 256, (20 * batch_size, size, size, 3)).astype("uint8")
        labels = generator.integers(0, _CLASSES, len(images)).astype("int32")
        self.split = data.Split(images, labels)
        self.batch = (images[:batch_size].astype("float32"), labels[:batch_size])

    def curve_step(self) -> dict:
        """The training step of a curve relative to that of its network."""
        return self._ratio("curve step / plain step", *map(self.steps_of, ("curve", "plain")))

    def steps_of(self, kind: str) -> Callable:
        """Trains a curve ("curve") or its network ("plain") on one repeated batch."""
        model = Curve.between(self.base, self.end) if kind == "curve" else clone(self.base)
        return self._training(model, self._fed(*self.batch))

    def curve_memory(self) -> dict:
        """Additional peak memory of a curve's training steps, relative to the network's weights."""
        logger.info("curve memory: in two processes")
        peaks = [peak_of(_few_steps, self.config, self.steps, kind) for kind in ("curve", "plain")]
        weights = 4 * self.base.count_params()
        return {
            "what": "(peak memory of curve steps - of plain steps) / weights",
            "ratio": round((peaks[0] - peaks[1]) / weights, 3),
            "mib": [round(peak / 2**20, 1) for peak in peaks],
            "weights_mib": round(weights / 2**20, 1),
            "steps": self.steps,
            "batch_size": self.batch_size,
        }

    def bridge_step(self) -> dict:
        """The training step of a bridge relative to the sum of its parts.

        The parts are the forward passes of the base and the member, and the forward and backward
        pass of the bridge on features in memory.
        """
        bridge, taps = self._bridge()
        member = clone(self.end)
        step = self._training(
            BridgeTraining(bridge, self.base, member), self._fed(self.batch[0]), loss=None
        )
        features = extractor(clone(self.base), taps, logits=False)(self.batch[0])
        targets = keras.ops.softmax(member(self.batch[0]))
        parts = [
            self._forward(self.base),
            self._forward(member),
            self._training(
                clone(bridge),
                self._fed(features, targets),
                loss=keras.losses.CategoricalCrossentropy(from_logits=True),
            ),
        ]
        return self._ratio("bridge step / sum of its parts", step, lambda: [p() for p in parts])

    def pool_step(self) -> dict:
        """The training step of a bridge on a pool, from its file, relative to a plain step."""
        bridge, _ = self._bridge()
        teachers = Teachers(bridge, self.base, clone(self.end))
        tables = [
            mode_table("mode", teachers, 0, self.recipe),
            member_table("member", teachers, _CLASSES, self.recipe),
        ]
        split, size = self.split, self.batch_size
        images = data.training_batches(split, size, epochs=1, seed=0, mixup_alpha=0.4)
        with tempfile.TemporaryDirectory() as folder:
            pool = Pool(pathlib.Path(folder), 1, len(split))
            pool.write(0, {table: [] for table in tables}, images.as_numpy_iterator(), seed=0)
            read = pool.reader(["mode"], "member", bridge_features(bridge)[1])
            batches = stored_batches(read, len(split), 1, size, epochs=10**6, seed=0)
            step = self._training(Distillation(bridge), batches, loss=None)
            plain = self._training(clone(self.base), self._fed(*self.batch))
            return self._ratio("bridge step from a pool / plain step", step, plain)

    def pipeline(self) -> dict:
        """Training from the data pipeline (crop, flip) relative to training from memory."""
        batches = data.training_batches(
            self.split, self.batch_size, epochs=10**6, seed=0, augment="crop_flip"
        )
        return self._ratio(
            "throughput from the pipeline / from memory",
            self._training(clone(self.base), self._fed(*self.batch)),
            self._training(clone(self.base), batches),
        )

    def _bridge(self) -> tuple:
        """A new bridge of the configuration, and its taps."""
        taps, width = list(self.config.taps), self.config.bridge_width
        if taps == [AUTO]:
            widths = (width,) if width else WIDTHS
            budget = self.config.bridge_budget
            choice = choose_bridge(self.base, budget, widths=widths, argument="bridge_budget")
            taps, width = [choice.tap], choice.width
        return build_bridge(self.base, taps, width), taps

    def _ratio(self, title: str, first: Callable, second: Callable) -> dict:
        """The time of `first` relative to that of `second`, from the fastest round of each.

        Other work on the machine only adds time, up to a factor of two, so the fastest rounds are
        the most reliable. The median and the range of the ratios show how noisy the machine was.
        """
        logger.info(f"{title}: compiling")
        first(), second()
        times = in_turn(lambda: seconds(first), lambda: seconds(second), self.rounds)
        ratios = [a / b for a, b in times]
        fastest = [min(of_one) for of_one in zip(*times, strict=True)]
        return {
            "what": title,
            "ratio": round(fastest[0] / fastest[1], 3),
            "median": round(statistics.median(ratios), 3),
            "lowest": round(min(ratios), 3),
            "highest": round(max(ratios), 3),
            "ms_per_step": [round(1e3 * total / self.steps, 1) for total in fastest],
            "rounds": self.rounds,
            "steps": self.steps,
            "batch_size": self.batch_size,
        }

    def _fed(self, *arrays) -> tf.data.Dataset:
        tensors = tuple(tf.constant(array) for array in arrays)
        return tf.data.Dataset.from_tensors(tensors).repeat()

    def _training(self, model, batches, loss="classes") -> Callable:
        if loss == "classes":
            loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        compiled = self.recipe.compiles(model)
        model.compile(self.recipe.optimizer(self.steps), loss=loss, jit_compile=compiled)

        def train() -> None:
            with (
                computing_in(self.recipe.precision, model),
                contextlib.nullcontext() if compiled else cpu_kernels(model),
            ):
                model.fit(batches, steps_per_epoch=self.steps, epochs=1, verbose=0, shuffle=False)

        return train

    def _forward(self, model) -> Callable:
        run = tf.function(
            lambda x: model(x, training=False), jit_compile=self.recipe.compiles(model)
        )
        images = tf.constant(self.batch[0])
        return lambda: [run(images).numpy() for _ in range(self.steps)]


def _few_steps(config: Config, steps: int, kind: str) -> Callable:
    return Benchmarks(config, steps).steps_of(kind)
