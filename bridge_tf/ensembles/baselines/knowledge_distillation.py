"""Knowledge distillation of a deep ensemble into one network (Hinton et al., 2015)."""

import keras
from keras import ops

from bridge_tf.bridges.distillation import Distillation
from bridge_tf.ensembles.bridge_ensemble import BridgeEnsemble
from bridge_tf.networks.classifier import TINY
from bridge_tf.training.distribution.devices import Devices, shared
from bridge_tf.training.fit import fit


def mean_of(networks) -> keras.Model:
    """A model to the logarithm of the networks' mean probabilities, N×classes.

    Args:
        networks: classifiers of the same architecture; copied.
    """
    ensemble = BridgeEnsemble(networks[0], [], networks[1:])
    log_probs = ops.log(ops.maximum(ensemble.output["probabilities"], TINY))
    return keras.Model(ensemble.input, log_probs, name="mean")


class StudentTraining(Distillation):
    """Trains a network on the mean prediction of several others, with `compile` and `fit`.

    The loss is that of a bridge: the mean over the batch of KL(mean_k softmax f_k(x) ||
    softmax student(x)), the soft targets of the paper at temperature 1, perhaps with a
    `label_share`.

    Args:
        student: a network that ends in logits; trained in place.
        teachers: classifiers of the same architecture; copied.
        label_share, class_weight: as for `bridge_tf.bridges.distillation.Distillation`.
    """

    def __init__(self, student, teachers, label_share: float = 0.0, class_weight=None, **kwargs):
        super().__init__(student, label_share=label_share, class_weight=class_weight, **kwargs)
        self.teacher = mean_of(teachers)
        self.teacher.trainable = False

    def call(self, inputs, training=None):
        logits = ops.cast(self.bridge(inputs, training=training), "float32")
        return {
            "bridge": ops.log_softmax(logits),
            "member": self.teacher(inputs, training=False),
        }


def fit_student(
    student,
    teachers,
    data,
    recipe,
    *,
    label_share: float = 0.0,
    class_weight=None,
    devices: Devices | None = None,
    **options,
) -> keras.callbacks.History:
    """Trains a network that ends in logits to predict the mean of `teachers`, in place.

    `data` has batches of images; labels beside them are read only with a `label_share`. That and
    `class_weight`, a weight for each class or None, are as in `StudentTraining`, the others as in
    `bridge_tf.fit_mode`.
    """
    with shared(student, devices) as student:
        model = StudentTraining(student, teachers, label_share, class_weight)
        return fit(model, data, recipe, devices=devices, **options)
