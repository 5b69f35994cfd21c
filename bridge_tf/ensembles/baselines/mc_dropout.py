"""Monte Carlo dropout (Gal and Ghahramani, ICML 2016): members with dropped channels."""

import keras
from keras import ops

from bridge_tf.ensembles.baselines.members import MemberLayer, has_product, of_members, replaced
from bridge_tf.training.distribution.devices import own_rows, whole

RATE = 0.1


def mc_dropout(network, size: int, rate: float = RATE) -> keras.Model:
    """A network with dropout in front of each convolution and dense layer except the first.

    Whole channels are dropped. In training, each row of a batch has its own masks. At inference,
    each member has fixed masks, so a prediction does not depend on the batch.

    Args:
        network: a Functional or Sequential classifier; not changed.
        size: number of members, at least 2; row k of a batch belongs to member k mod size.
        rate: probability of dropping a channel, in (0, 1).

    Returns:
        A Functional model from images to logits, N×classes, for `with_members`.

    Raises:
        InputError: the network is a subclassed model.
    """
    if size < 2:
        raise ValueError(f"size must be at least 2. Received: size={size}")
    first = []

    def dropped(layer):
        if not has_product(layer):
            return layer
        first.append(layer)
        return layer if len(first) == 1 else ChannelDropout(layer, size, rate)

    return replaced(network, dropped)


@keras.saving.register_keras_serializable(package="bridge_tf")
class ChannelDropout(MemberLayer):
    """Dropout of channels in front of a layer, with probability `rate` in (0, 1), also at
    inference.
    """

    def __init__(self, layer, size: int, rate: float, **kwargs):
        super().__init__(layer, size, **{"name": f"{layer.name}_dropout", **kwargs})
        if not 0 < rate < 1:
            raise ValueError(f"rate must lie in (0, 1). Received: rate={rate}")
        self.rate = rate
        self.seed_generator = keras.random.SeedGenerator()

    def build(self, input_shape):
        self.layer.build(input_shape)
        self.masks = self.add_weight(
            (self.size, input_shape[-1]), self._draw, trainable=False, name="masks"
        )

    def _draw(self, shape, dtype=None):
        """A mask of zeros and 1 / (1 - rate)."""
        uniform = keras.random.uniform(shape, seed=self.seed_generator, dtype=dtype)
        kept = ops.cast(uniform >= self.rate, uniform.dtype)
        return kept / (1 - self.rate)

    def call(self, inputs, training=None):
        if training:
            rows = ops.shape(inputs)[0]
            shape = (whole(rows), *[1] * (len(inputs.shape) - 2), inputs.shape[-1])
            mask = own_rows(self._draw(shape, inputs.dtype), rows)
        else:
            mask = of_members(self.masks, inputs)
        return self.layer(inputs * mask)

    def get_config(self):
        return {**super().get_config(), "rate": self.rate}
