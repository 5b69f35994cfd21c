"""The work of the process in `worker.py`.

It rebuilds the ensemble of a plan from `tf_keras` layers, checks that it predicts as the original,
compresses it by training on the original's predictions, and writes the result.
"""

import json
import pathlib

import numpy as np
import tf_keras
from scipy.special import log_softmax

from bridge_tf.evaluation.calibration import fit_temperature, rounded
from bridge_tf.evaluation.metrics import ensemble_log_probs
from bridge_tf.export.compression import folder as files
from bridge_tf.export.compression.methods import METHODS
from bridge_tf.export.compression.rebuild import check_equal, rebuild
from bridge_tf.utils.terminal import logger


def compress(folder: pathlib.Path) -> None:
    """Reads a plan from a folder and writes the result to it, see `folder.py`.

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
    difference = check_equal(model, images[: len(wanted[0])], wanted, most=1e-5)
    logger.info(f"compress: {method}, rebuilt of tf_keras layers within {difference:.1e}")
    steps = epochs * -(-len(images) // size)

    def report(epoch, logs) -> None:
        logger.info(f"compress: {method}, epoch {epoch + 1}/{epochs}, loss {logs['loss']:.4f}")

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
            callbacks=[*callbacks, tf_keras.callbacks.LambdaCallback(on_epoch_end=report)],
        )

    compressed = METHODS[method](model, fit, plan, steps)
    if method == "qat":
        from bridge_tf.export.compression.quantized_file import write_file

        temperatures = _temperatures(compressed, plan, folder / files.VALIDATION)
        (folder / files.TEMPERATURES).write_text(json.dumps(temperatures), encoding="utf-8")
        write_file(compressed, plan, temperatures, folder / files.TFLITE)
    else:
        weights = files.named_weights((layer.name, layer) for layer in compressed.layers)
        np.savez(folder / files.COMPRESSED, **weights)


def _temperatures(model, plan: dict, validation: pathlib.Path) -> list[float]:
    """Those of the ensemble and its base, fitted to a compressed model; 1 without validation."""
    if not validation.exists():
        return [1.0, 1.0]
    with np.load(validation) as stored:
        logits = model.predict(stored["inputs"], plan["batch_size"], verbose=0)[plan["features"] :]
        members = [log_softmax(x.astype("float64"), axis=1) for x in logits]
        both = ensemble_log_probs(members), members[0]
        return [rounded(fit_temperature(x, stored["labels"])) for x in both]
