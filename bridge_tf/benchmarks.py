"""Speed, as ratios within one process: two things are timed in turn, round by round."""

import statistics
import time
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from bridge_tf import data
from bridge_tf.bridge import build_bridge
from bridge_tf.bridge_training import BridgeTraining
from bridge_tf.config import Config
from bridge_tf.curve import Curve
from bridge_tf.graph import extractor
from bridge_tf.layers import clone
from bridge_tf.networks import build_network
from bridge_tf.progress import say
from bridge_tf.training import Recipe

_SHAPE, _CLASSES = (32, 32, 3), 10


class Benchmarks:
    """Training steps on CIFAR-sized images, timed against the plain step.

    Args:
        config: model, norm, width, batch_size and jit_compile count.
        steps: steps a timing.
        rounds: timings of each thing; the fastest count.
    """

    def __init__(self, config: Config, steps: int = 30, rounds: int = 7):
        self.batch_size, self.steps, self.rounds = config.batch_size, steps, rounds
        self.recipe = Recipe(epochs=1, learning_rate=1e-3, jit_compile=config.jit_compile)
        self.base, self.end = (
            build_network(config.model, _SHAPE, _CLASSES, norm=config.norm, width=config.width)
            for _ in range(2)
        )
        self.taps = list(config.taps)
        batch_size = config.batch_size
        generator = np.random.default_rng(0)
        images = generator.integers(0, 256, (20 * batch_size, *_SHAPE)).astype("uint8")
        labels = generator.integers(0, _CLASSES, len(images)).astype("int32")
        self.split = data.Split(images, labels)
        self.batch = (images[:batch_size].astype("float32"), labels[:batch_size])

    def curve_step(self) -> dict:
        """A curve's training step against that of the network it wraps."""
        curve = Curve.between(self.base, self.end)
        return self._ratio(
            "curve step / plain step",
            self._training(curve, self._fed(*self.batch)),
            self._training(clone(self.base), self._fed(*self.batch)),
        )

    def bridge_step(self) -> dict:
        """A bridge's training step against the sum of what it must do.

        That is the forward passes of the base and the member, and forward and backward pass of
        the bridge on features in memory.
        """
        bridge = build_bridge(self.base, self.taps, 0.5)
        member = clone(self.end)
        step = self._training(
            BridgeTraining(bridge, self.base, member), self._fed(self.batch[0]), loss=None
        )
        features = extractor(clone(self.base), self.taps, logits=False)(self.batch[0])
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

    def pipeline(self) -> dict:
        """Training from the data pipeline (crop, flip) against training from memory."""
        network = clone(self.base)
        batches = data.training_batches(
            self.split, self.batch_size, epochs=10**6, seed=0, augment="crop_flip"
        )
        return self._ratio(
            "throughput from the pipeline / from memory",
            self._training(network, self._fed(*self.batch)),
            self._training(clone(self.base), batches),
        )

    def _ratio(self, title: str, first: Callable, second: Callable) -> dict:
        """The time of `first` over that of `second`, of the fastest round of each.

        Other work on the machine only adds time, by up to a factor of two where it takes a core,
        so the fastest rounds tell most about the two things themselves. The median and the range
        of the ratios round by round tell how noisy the machine was.
        """
        say(f"{title}: compiling")
        first(), second()
        times = []
        for k in range(self.rounds):
            # In turn, and each first as often: the machine's speed drifts.
            order = (first, second) if k % 2 else (second, first)
            elapsed = {run: _seconds(run) for run in order}
            times.append((elapsed[first], elapsed[second]))
        ratios = [a / b for a, b in times]
        fastest = [min(seconds) for seconds in zip(*times, strict=True)]
        return {
            "what": title,
            "ratio": round(fastest[0] / fastest[1], 3),
            "median": round(statistics.median(ratios), 3),
            "lowest": round(min(ratios), 3),
            "highest": round(max(ratios), 3),
            "ms_per_step": [round(1e3 * seconds / self.steps, 1) for seconds in fastest],
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
        model.compile(
            self.recipe.optimizer(self.steps), loss=loss, jit_compile=self.recipe.jit_compile
        )
        return lambda: model.fit(
            batches, steps_per_epoch=self.steps, epochs=1, verbose=0, shuffle=False
        )

    def _forward(self, model) -> Callable:
        run = tf.function(lambda x: model(x, training=False), jit_compile=self.recipe.jit_compile)
        images = tf.constant(self.batch[0])
        return lambda: [run(images).numpy() for _ in range(self.steps)]


def _seconds(run: Callable) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
