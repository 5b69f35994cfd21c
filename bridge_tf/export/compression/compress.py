"""What the process of `worker.py` does.

It rebuilds the ensemble of a plan of `tf_keras` layers, compares its answers with the original's,
lets a method compress it, trained on the original's answers, and writes down what came out.
"""

import json
import pathlib

import numpy as np
import tf_keras

from bridge_tf.export.compression import folder as files
from bridge_tf.export.compression.methods import METHODS
from bridge_tf.export.compression.rebuild import check_equal, rebuild
from bridge_tf.utils.terminal import logger

# How far the rebuilt model's answers may be from the original's.
MAX_DIFFERENCE = 1e-5


def compress(folder: pathlib.Path) -> None:
    """Reads a plan from a folder and writes what came out to it, see `folder.py`.

    Raises:
        InputError: the ensemble can't be rebuilt.
    """
    plan = json.loads((folder / files.PLAN).read_text(encoding="utf-8"))
    images, targets = (np.load(folder / name) for name in (files.IMAGES, files.TARGETS))
    tf_keras.utils.set_random_seed(plan["seed"])
    with np.load(folder / files.WEIGHTS) as stored:
        model = rebuild(plan, dict(stored))
    with np.load(folder / files.OUTPUTS) as stored:
        wanted = [stored[str(k)] for k in range(len(stored))]
    method, epochs, size = plan["method"], plan["epochs"], min(plan["batch_size"], len(images))
    difference = check_equal(model, images[: len(wanted[0])], wanted, MAX_DIFFERENCE)
    logger.info(f"compress: {method}, rebuilt of tf_keras layers within {difference:.1e}")
    steps = epochs * -(-len(images) // size)

    def fit(compressed, callbacks=()) -> None:
        rate = tf_keras.optimizers.schedules.CosineDecay(plan["learning_rate"], steps)
        logits = compressed.outputs[plan["features"] :]
        trained = tf_keras.Model(compressed.inputs, logits)
        trained.compile(
            tf_keras.optimizers.Adam(rate),
            [tf_keras.losses.CategoricalCrossentropy(from_logits=True) for _ in logits],
        )
        trained.fit(
            images,
            [targets[:, k] for k in range(len(logits))],
            batch_size=size,
            epochs=epochs,
            verbose=0,
            callbacks=[*callbacks, _Progress(method, epochs)],
        )

    compressed = METHODS[method](model, fit, plan, steps)
    if method == "qat":
        from bridge_tf.export.compression.quantized_file import write_file

        write_file(compressed, plan, folder / files.TFLITE)
    else:
        weights = files.named_weights((layer.name, layer) for layer in compressed.layers)
        np.savez(folder / files.COMPRESSED, **weights)


class _Progress(tf_keras.callbacks.Callback):
    def __init__(self, method: str, epochs: int):
        super().__init__()
        self.method, self.epochs = method, epochs

    def on_epoch_end(self, epoch, logs=None):
        place = f"epoch {epoch + 1}/{self.epochs}"
        logger.info(f"compress: {self.method}, {place}, loss {logs['loss']:.4f}")
