"""Pre-trains a network on half of the classes and fine-tunes it to the other half.

    python docs/results/finetuned/prepare.py --data_dir=../shared/tfds --out=runs/finetuned_parts

Writes to --out: `data.npz`, the images of classes 5 to 9 of cifar10_jpeg, split as `bin/train`
splits the whole; `0.keras` … `2.keras`, one pre-trained network (classes 0 to 4) fine-tuned from
three seeds, which draw the last layer and the order of images; `wide.keras`, a network of 1.23
times the FLOPs, pre-trained and fine-tuned likewise. Files that are there are left as they are.

    bin/train --flagfile=configs/finetuned.flags

then trains curves, student and bridges on these modes.
"""

import pathlib

import keras
import numpy as np
from absl import app, flags

import bridge_tf
from bridge_tf.networks.saving import write_model

FLAGS = flags.FLAGS
flags.DEFINE_string("data_dir", None, "Folder of TensorFlow Datasets.", required=True)
flags.DEFINE_string("out", None, "Folder of the results.", required=True)
flags.DEFINE_integer("pretraining_epochs", 24, "Epochs on the first half of the classes.")
flags.DEFINE_integer("epochs", 12, "Epochs of a fine-tuning.")

HALF, MODES, BATCH = 5, 3, 256
WIDTHS = {"mode": 1.5, "wide": 1.664}
SCALING = {"pixel_mean": (0.49, 0.48, 0.44), "pixel_std": (0.25,)}


def main(_) -> None:
    out = pathlib.Path(FLAGS.out)
    out.mkdir(parents=True, exist_ok=True)
    data = bridge_tf.load_dataset("tfds:cifar10_jpeg", FLAGS.data_dir)
    first, second = _halves(data.train)
    if not (out / "data.npz").exists():
        parts = {"train": data.train, "val": data.validation, "test": data.test}
        arrays = {}
        for name, split in parts.items():
            images, labels = _halves(split)[1]
            arrays |= {f"x_{name}": images, f"y_{name}": labels}
        np.savez(out / "data.npz", **arrays)
    for kind, width in WIDTHS.items():
        pretrained = out / f"pretrained_{kind}.keras"
        if not pretrained.exists():
            _train(_network(width, 0), first, pretrained, FLAGS.pretraining_epochs, 0.3, 0)
        for seed in range(MODES if kind == "mode" else 1):
            target = out / (f"{seed}.keras" if kind == "mode" else "wide.keras")
            if not target.exists():
                network = _network(width, seed)
                for layer in keras.models.load_model(pretrained).layers[:-1]:
                    network.get_layer(layer.name).set_weights(layer.get_weights())
                _train(network, second, target, FLAGS.epochs, 0.1, seed)


def _halves(split) -> tuple:
    """(Images, labels from 0) of the first five classes and of the others."""
    images, labels = np.asarray(split.in_memory("").images), np.asarray(split.labels)
    early = labels < HALF
    return (images[early], labels[early]), (images[~early], labels[~early] - HALF)


def _network(width: float, seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    return bridge_tf.build_network("vgg8", (32, 32, 3), HALF, norm="batch", width=width, **SCALING)


def _train(network, data, target, epochs: int, rate: float, seed: int) -> None:
    recipe = bridge_tf.Recipe(
        epochs=epochs,
        learning_rate=rate,
        nesterov=True,
        weight_decay=5e-4,
        warmup_epochs=epochs / 6,
        seed=seed,
        precision="mixed_bfloat16",
    )
    batches = bridge_tf.training_batches(
        bridge_tf.Split(*data), BATCH, epochs=epochs, seed=seed, augment="crop_flip", crop_padding=2
    )
    steps = len(data[1]) // BATCH
    bridge_tf.fit_mode(network, batches, recipe, steps_per_epoch=steps, verbose=2)
    write_model(network, target)


if __name__ == "__main__":
    app.run(main)
