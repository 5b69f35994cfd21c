"""BatchEnsemble (Wen, Tran and Ba, ICLR 2020): members that differ by rank-one factors."""

import keras

from bridge_tf.ensembles.baselines.members import MemberLayer, has_product, of_members, replaced

# Standard deviation of the initial factors.
SPREAD = 0.5


def batch_ensemble(network, size: int) -> keras.Model:
    """A network whose kernels are W ∘ (r_k s_kᵀ) for member k (equation 5 of the paper).

    The factors of convolutions and dense layers start from N(1, 0.5²): with random signs, the
    paper's other choice, small networks learn slowly. Biases are each member's own, normalizations
    shared.

    Args:
        network: a Functional or Sequential classifier with the initial weights of the members.
        size: number of members, at least 2; row k of a batch belongs to member k mod size.

    Returns:
        A Functional model from images to logits, N×classes, for `with_members`.

    Raises:
        InputError: the network is a subclassed model.
    """
    if size < 2:
        raise ValueError(f"size must be at least 2. Received: size={size}")
    return replaced(network, lambda layer: RankOne(layer, size) if has_product(layer) else layer)


@keras.saving.register_keras_serializable(package="bridge_tf")
class RankOne(MemberLayer):
    """A convolution or dense layer with factors on each member's inputs and outputs.

    Its biases, one for each member, and its activation follow the factors. Input: B×…×channels.
    """

    def __init__(self, layer, size: int, **kwargs):
        config = layer.get_config() | {"use_bias": False, "activation": "linear"}
        plain = type(layer).from_config(config)
        super().__init__(plain, size, **{"name": f"{layer.name}_rank_one", **kwargs})
        self.activation, self.use_bias = layer.activation, layer.use_bias

    def build(self, input_shape):
        self.layer.build(input_shape)
        outputs = self.layer.compute_output_shape(input_shape)[-1]
        for name, channels in (("inner", input_shape[-1]), ("outer", outputs)):
            start = keras.initializers.RandomNormal(1.0, SPREAD)
            setattr(self, name, self.add_weight((self.size, channels), start, name=name))
        if self.use_bias:
            self.bias = self.add_weight((self.size, outputs), "zeros", name="bias")

    def call(self, inputs):
        outputs = self.layer(inputs * of_members(self.inner, inputs))
        outputs = outputs * of_members(self.outer, outputs)
        if self.use_bias:
            outputs = outputs + of_members(self.bias, outputs)
        return self.activation(outputs)

    def get_config(self):
        config = super().get_config()
        config["layer"]["config"] |= {
            "use_bias": self.use_bias,
            "activation": keras.activations.serialize(self.activation),
        }
        return config
