"""Networks with several members: row k of a batch belongs to member k mod size."""

from collections.abc import Callable

import keras
from keras import ops

from bridge_tf.ensembles.bridge_ensemble import new_inputs, statistics
from bridge_tf.networks.classifier import as_classifier, logits_copy
from bridge_tf.networks.layer_kinds import kind_of
from bridge_tf.training.distribution.devices import Devices, own_rows, shared, whole
from bridge_tf.training.fit import fit
from bridge_tf.training.trainers import classification
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.graph import is_graph
from bridge_tf.utils.keras_utils import copy_values


def has_product(layer) -> bool:
    """Whether a layer multiplies all input channels by one kernel."""
    return kind_of(layer, derived=True).is_product and getattr(layer, "groups", 1) == 1


def replaced(network, replace: Callable) -> keras.Model:
    """A copy of a Functional or Sequential classifier with replaced layers; it ends in logits.

    `replace` gets a copy of a layer. It returns the copy, or a layer with the copy as its `layer`.

    Raises:
        InputError: the network is a subclassed model, whose layers can't be replaced.
    """
    if not is_graph(network):
        raise InputError(
            f"`baselines`: {network.name} is a {type(network).__name__}; layers can be replaced in "
            "Functional and Sequential models only"
        )
    network = logits_copy(as_classifier(network))
    pairs = []

    def copied(layer):
        new = replace(type(layer).from_config(layer.get_config()))
        pairs.append((layer, new))
        return new

    copy = keras.models.clone_model(network, clone_function=copied, recursive=True)
    for layer, new in pairs:
        if is_graph(layer):
            continue  # its layers have their own pairs
        target = getattr(new, "layer", new) if new.name != layer.name else new
        copy_values(layer.weights[: len(target.weights)], target.weights)
    return copy


class MemberLayer(keras.layers.Layer):
    """A wrapper around a layer, with weights for each of `size` members."""

    def __init__(self, layer, size: int, **kwargs):
        super().__init__(**kwargs)
        self.layer, self.size = layer, size

    def compute_output_shape(self, input_shape):
        return self.layer.compute_output_shape(input_shape)

    def get_config(self):
        layer = keras.saving.serialize_keras_object(self.layer)
        layer.pop("build_config", None)  # this layer builds it
        return {**super().get_config(), "layer": layer, "size": self.size}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        layer = keras.saving.deserialize_keras_object(config["layer"], custom_objects)
        return cls(**{**config, "layer": layer})


def of_members(weights, rows):
    """Each row's member's weights, from size×channels: B×1…×channels for `rows` B×…×channels."""
    size, channels = weights.shape
    number = ops.shape(rows)[0]
    member = ops.mod(own_rows(ops.arange(whole(number)), number), size)
    return ops.reshape(
        ops.take(weights, member, axis=0), (-1, *[1] * (len(rows.shape) - 2), channels)
    )


class MembersTraining(keras.Model):
    """Trains all members of a network on each image, with `compile` and `fit`.

    The loss is the mean over images and members: each image is repeated, a row for each member, as
    Wen et al. do it where a batch isn't divided among the members.

    Args:
        network: to N×classes, in which row k of a batch belongs to member k mod `size`; trained in
            place.
        size: number of members, at least 2.
    """

    def __init__(self, network, size: int, **kwargs):
        super().__init__(**kwargs)
        self.network, self.size = network, size
        self.built = True  # because its network is

    def call(self, images, training=None):
        return self.network(self._repeated(images), training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        y, weights = self._repeated(y), self._repeated(sample_weight)
        return super().compute_loss(x, y, y_pred, weights, training)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        return super().compute_metrics(x, self._repeated(y), y_pred, self._repeated(sample_weight))

    def _repeated(self, rows):
        return None if rows is None else ops.repeat(rows, self.size, axis=0)


def fit_members(
    network, size: int, data, recipe, *, devices: Devices | None = None, **options
) -> keras.callbacks.History:
    """Trains a network as in `MembersTraining`, in place.

    The other arguments are as in `bridge_tf.fit_mode`. On digits the members are better than with
    batches that are divided among them, for `size` times the cost.
    """
    with shared(network, devices) as network:
        model = MembersTraining(network, size)
        options = classification(network, label_smoothing=recipe.label_smoothing) | options
        return fit(model, data, recipe, devices=devices, **options)


def with_members(network, size: int) -> keras.Model:
    """The ensemble of a network's members, from images to the outputs of a `BridgeEnsemble`.

    `network` is a Functional model to logits, N×classes, in which row k of a batch belongs to
    member k mod `size`. Its layers are shared. Each member sees each image.
    """
    images = keras.Input(network.input.shape[1:], dtype=network.input.dtype, name="image")
    logits = network(ops.repeat(images, size, axis=0), training=False)
    return ensemble_of(images, logits, size, network.output.shape[-1])


@keras.saving.register_keras_serializable(package="bridge_tf")
class MembersEnsemble(keras.Model):
    """A network of several outputs, as those of `ensemble_of`, with a temperature.

    Args:
        members: a Functional model to the outputs of a `BridgeEnsemble`; not copied.
        temperature: T > 0 of `probabilities` and `entropy`, as in `BridgeEnsemble`.
        name: of the model.

    Input and outputs are those of `members`. There is no base that runs alone.
    """

    # As the other ensembles that are exported have one; here there is no base.
    base_temperature = 1.0

    def __init__(self, members: keras.Model, temperature: float = 1.0, name: str = "ensemble"):
        images = new_inputs(members)
        log_probs = members(images)["log_probabilities"]
        outputs = statistics(ops.unstack(log_probs, log_probs.shape[1], axis=1), temperature)
        super().__init__(inputs=images, outputs=outputs, name=name)
        self.members, self.temperature = members, float(temperature)

    def calibrated(self, temperature: float, base_temperature: float = 1.0) -> "MembersEnsemble":
        """The ensemble with another temperature; that of a base is ignored. It shares layers."""
        return MembersEnsemble(self.members, temperature, self.name)

    def get_config(self) -> dict:
        members = keras.saving.serialize_keras_object(self.members)
        return {"members": members, "temperature": self.temperature, "name": self.name}

    @classmethod
    def from_config(cls, config: dict, custom_objects=None) -> "MembersEnsemble":
        members = keras.saving.deserialize_keras_object(config["members"], custom_objects)
        return cls(**{**config, "members": members})


def ensemble_of(images, logits, size: int, classes: int) -> keras.Model:
    """The ensemble of members, from the input `images` and all logits, both Keras tensors.

    Logits are N·size×classes or N×(size·classes), with those for an image adjacent.
    """
    logits = ops.reshape(logits, (-1, size, classes))
    return keras.Model(images, statistics(ops.unstack(logits, size, axis=1)), name="members")
