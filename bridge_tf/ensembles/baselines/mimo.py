"""MIMO (Havasi et al., ICLR 2021): one network with several inputs and outputs."""

import keras
from keras import ops

from bridge_tf.ensembles.baselines.members import ensemble_of
from bridge_tf.networks import build_network
from bridge_tf.training.distribution.devices import (
    Devices,
    own_rows,
    part_of_mean,
    shared,
    whole,
    whole_batch,
)
from bridge_tf.training.fit import fit

# Probability that all inputs show the same image (ρ): easier for small networks (figure 7).
REPETITION = 0.5

# More members would cost accuracy.
MIMO_SIZE = 2


def mimo_network(name: str, image_shape, num_classes: int, **options) -> keras.Model:
    """Builds a network with inputs and outputs for all members, by name as in `build_network`.

    `image_shape` (height, width, channels) and the statistics of channels are for one image.
    """
    height, width, channels = image_shape
    for key in ("pixel_mean", "pixel_std"):
        if len(options.get(key, ())) > 1:
            options[key] = [*options[key]] * MIMO_SIZE
    shape = (height, width, channels * MIMO_SIZE)
    return build_network(name, shape, num_classes * MIMO_SIZE, **options)


class MimoTraining(keras.Model):
    """Trains a network with several inputs and outputs, with `compile` and `fit`.

    The loss is the sum of the members' cross-entropies (equation 2 of the paper). Member 0 sees the
    batch; each other member sees it in another order.

    Args:
        network: from N×H×W×(size·channels) to logits, N×(size·classes); trained in place.
        size: number of members, at least 2.
        repetition: probability that all members see the same image, in [0, 1].
        seed: of the orders.
    """

    def __init__(self, network, size: int, repetition: float = REPETITION, seed: int = 0, **kwargs):
        super().__init__(**kwargs)
        if size < 2:
            raise ValueError(f"size must be at least 2. Received: size={size}")
        self.network, self.size, self.repetition = network, size, repetition
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.accuracy = keras.metrics.Mean(name="accuracy")
        self.built = True  # because its network is

    @property
    def changing_variables(self) -> list:
        return [*self.network.variables, self.seed_generator.state]

    def call(self, images, training=None):
        number = ops.shape(images)[0]
        rows = ops.arange(whole(number))
        orders = [rows] * self.size
        if training:
            images = whole_batch(images)
            draws = keras.random.uniform((2, whole(number)), seed=self.seed_generator)
            together = draws[0] < self.repetition
            for k in range(1, self.size):
                draws = keras.random.uniform((whole(number),), seed=self.seed_generator)
                orders[k] = ops.where(together, rows, ops.cast(ops.argsort(draws), rows.dtype))
        orders = [own_rows(order, number) for order in orders]
        seen = ops.concatenate([ops.take(images, order, axis=0) for order in orders], axis=-1)
        logits = ops.cast(self.network(seen, training=training), "float32")
        logits = ops.reshape(logits, (-1, self.size, logits.shape[-1] // self.size))
        return {"logits": logits, "orders": ops.stack(orders, axis=1)}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        labels = ops.take(whole_batch(y), y_pred["orders"], axis=0)
        losses = keras.losses.sparse_categorical_crossentropy(
            labels, y_pred["logits"], from_logits=True
        )
        if sample_weight is not None:
            weights = ops.reshape(whole_batch(sample_weight), (-1,))
            losses *= ops.cast(ops.take(weights, y_pred["orders"], axis=0), losses.dtype)
        right = ops.equal(ops.argmax(y_pred["logits"], axis=-1), ops.cast(labels, "int32"))
        self.accuracy.update_state(ops.cast(right, "float32"))
        return part_of_mean(ops.mean(ops.sum(losses, axis=1)) + sum(self.losses))


def mimo_members(network, size: int) -> keras.Model:
    """The ensemble of a network's predictions with one image at all inputs.

    It maps images to the outputs of a `BridgeEnsemble` and shares the network's layers.
    """
    height, width, channels = network.input.shape[1:]
    images = keras.Input((height, width, channels // size), dtype=network.input.dtype, name="image")
    logits = network(ops.concatenate([images] * size, axis=-1), training=False)
    return ensemble_of(images, logits, size, network.output.shape[-1] // size)


def fit_mimo(
    network, size: int, data, recipe, *, devices: Devices | None = None, **options
) -> keras.callbacks.History:
    """Trains a network as in `MimoTraining`, in place.

    `data` has batches of (images, integer labels); the others are as in `bridge_tf.fit_mode`.
    """
    with shared(network, devices) as network:
        model = MimoTraining(network, size, seed=recipe.seed)
        return fit(model, data, recipe, devices=devices, **options)
