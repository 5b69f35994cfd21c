"""Pre-trains a network on the last five classes and fine-tunes it to the first five.

    python docs/results/finetuned/prepare.py --data=fashion_mnist --data_dir=../shared/tfds \
      --out=runs/finetuned/fashion_mnist/parts

Writes to --out: `data.npz`, the images of classes 0 to 4, split as `bin/train` splits the whole;
`0.keras` … `2.keras`, one network pre-trained on classes 5 to 9 and fine-tuned from three seeds,
which draw the last layer and the order of images; `wide.keras`, a network of 1.25 times the FLOPs,
pre-trained and fine-tuned likewise. Files that are there are left as they are. `bin/train
--modes=…` then trains curves, student and bridges on these modes, and `wide.py` scores the wider
network by that run's report.
"""

import pathlib

import keras
import numpy as np
from absl import app, flags

import bridge_tf
from bridge_tf.networks.saving import write_model

FLAGS = flags.FLAGS
flags.DEFINE_enum("data", None, ["fashion_mnist", "cifar10_jpeg"], "Data set.", required=True)
flags.DEFINE_string("data_dir", None, "Folder of TensorFlow Datasets.", required=True)
flags.DEFINE_string("out", None, "Folder of the results.", required=True)
flags.DEFINE_integer("seed", 0, "Added to all seeds.")

HALF, MODES, BATCH = 5, 3, 256
# As in configs/fashion_mnist.flags and configs/cifar10_jpeg.flags; fine-tuning takes half of the
# epochs and a third of the rate.
NETWORKS = {
    "fashion_mnist": {"width": 1.0, "pixel_mean": (0.286,), "pixel_std": (0.353,)},
    "cifar10_jpeg": {"width": 1.5, "pixel_mean": (0.49, 0.48, 0.44), "pixel_std": (0.25,)},
}
RECIPES = {"fashion_mnist": (12, 0.2), "cifar10_jpeg": (24, 0.3)}
WIDER = 1.11


def main(_) -> None:
    out = pathlib.Path(FLAGS.out)
    out.mkdir(parents=True, exist_ok=True)
    data = bridge_tf.load_dataset(f"tfds:{FLAGS.data}", FLAGS.data_dir)
    wanted, other = _halves(data.train)
    if not (out / "data.npz").exists():
        parts = {"train": wanted, "val": _halves(data.validation)[0], "test": _halves(data.test)[0]}
        arrays = {}
        for name, (images, labels) in parts.items():
            arrays |= {f"x_{name}": images, f"y_{name}": labels}
        np.savez(out / "data.npz", **arrays)
    epochs, rate = RECIPES[FLAGS.data]
    for kind, factor in {"mode": 1, "wide": WIDER}.items():
        pretrained = out / f"pretrained_{kind}.keras"
        if not pretrained.exists():
            _train(_network(factor, 0), other, pretrained, epochs, rate, 0)
        for seed in range(MODES if kind == "mode" else 1):
            target = out / (f"{seed}.keras" if kind == "mode" else "wide.keras")
            if not target.exists():
                network = _network(factor, seed)
                for layer in keras.models.load_model(pretrained).layers[:-1]:
                    network.get_layer(layer.name).set_weights(layer.get_weights())
                _train(network, wanted, target, epochs // 2, rate / 3, seed)


def _halves(split) -> tuple:
    """(Images, labels from 0) of the first five classes and of the others."""
    images, labels = np.asarray(split.in_memory("").images), np.asarray(split.labels)
    early = labels < HALF
    return (images[early], labels[early]), (images[~early], labels[~early] - HALF)


def _network(factor: float, seed: int) -> keras.Model:
    keras.utils.set_random_seed(seed + FLAGS.seed)
    settings = dict(NETWORKS[FLAGS.data])
    width = factor * settings.pop("width")
    channels = len(settings["pixel_mean"])
    shape = (32, 32, 3) if channels == 3 else (28, 28, 1)
    return bridge_tf.build_network("vgg8", shape, HALF, norm="batch", width=width, **settings)


def _train(network, data, target, epochs: int, rate: float, seed: int) -> None:
    recipe = bridge_tf.Recipe(
        epochs=epochs,
        learning_rate=rate,
        nesterov=True,
        weight_decay=5e-4,
        warmup_epochs=epochs / 6,
        seed=seed + FLAGS.seed,
        precision="mixed_bfloat16",
    )
    batches = bridge_tf.training_batches(
        bridge_tf.Split(*data),
        BATCH,
        epochs=epochs,
        seed=seed + FLAGS.seed,
        augment="crop_flip",
        crop_padding=2,
    )
    steps = len(data[1]) // BATCH
    bridge_tf.fit_mode(network, batches, recipe, steps_per_epoch=steps, verbose=2)
    write_model(network, target)


if __name__ == "__main__":
    app.run(main)
