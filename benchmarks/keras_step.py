"""Training steps as `bridge_tf.fit_mode` runs them, timed on request; see `training_step.py`.

Every line on standard input asks for an epoch of steps; the answer is the seconds that it took.
"""

import argparse
import sys
import time

import keras
import numpy as np
import tensorflow as tf
from keras import layers

import bridge_tf
from bridge_tf.networks.blocks import conv, norm_layer, pixel_scaling

CLASSES = 10
RESNETS = {
    "resnet8": {"model": "resnet8"},
    "resnet8x2": {"model": "resnet8", "width": 2},
    "resnet20": {"model": "resnet20"},
    "resnet18": {"model": "imagenet_resnet18", "stem": "small"},
}


class Rounds(keras.callbacks.Callback):
    """Waits for a line before each epoch and answers its seconds; the first one warms up."""

    def __init__(self):
        super().__init__()
        self.start = None

    def on_epoch_begin(self, epoch, logs=None):
        if epoch and not sys.stdin.readline():
            raise SystemExit
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        print(time.perf_counter() - self.start if epoch else "ready", flush=True)


def vgg(norm: str, size: int) -> keras.Model:
    """A 2×2 convolution, three groups of two 3×3 convolutions with a pooling, a global maximum."""
    image = keras.Input((size, size, 3))
    x = layers.Conv2D(24, 2)(pixel_scaling(3, 0.5, 0.25)(image))
    x = layers.Activation("silu")(x)
    for channels in (32, 64, 128):
        x = layers.MaxPooling2D()(conv(channels, 3, 1, f"group{channels}_conv1")(x))
        x = layers.Activation("silu")(norm_layer(norm, f"group{channels}_norm1")(x))
        x = conv(channels, 3, 1, f"group{channels}_conv2")(x)
        x = layers.Activation("silu")(norm_layer(norm, f"group{channels}_norm2")(x))
    return keras.Model(image, layers.Dense(CLASSES)(layers.GlobalMaxPooling2D()(x)))


def build(network: str, norm: str, size: int) -> keras.Model:
    if network == "vgg":
        return vgg(norm, size)
    if network == "mobilenet_v2":
        return bridge_tf.build_network("MobileNetV2", (size, size, 3), CLASSES)
    options = dict(RESNETS[network])
    return bridge_tf.build_network(
        options.pop("model"), (size, size, 3), CLASSES, norm=norm, **options
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--network", required=True)
    parser.add_argument("--norm", default="batch", choices=("batch", "frn"))
    parser.add_argument("--jit_compile", default="auto", choices=("auto", "true", "false"))
    parser.add_argument("--precision", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--batch_size", type=int, default=128)
    parser.add_argument("--image_size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=10)
    args = parser.parse_args()
    keras.utils.set_random_seed(0)
    if args.precision == "bfloat16":
        keras.config.set_dtype_policy("mixed_bfloat16")
    model = build(args.network, args.norm, args.image_size)
    generator = np.random.default_rng(0)
    shape = (args.batch_size, args.image_size, args.image_size, 3)
    images = generator.integers(0, 256, shape).astype("float32")
    labels = generator.integers(0, CLASSES, args.batch_size)
    recipe = bridge_tf.Recipe(
        epochs=10**6,
        learning_rate=1e-3,
        warmup_epochs=0,
        jit_compile={"true": True, "false": False}.get(args.jit_compile, "auto"),
    )
    batches = tf.data.Dataset.from_tensors((images, labels)).repeat()
    bridge_tf.fit_mode(model, batches, recipe, steps_per_epoch=args.steps, callbacks=[Rounds()])


if __name__ == "__main__":
    main()
