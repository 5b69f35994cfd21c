"""Knowledge distillation of a deep ensemble into one network (Hinton et al., 2015)."""

import keras
from keras import ops

from bridge_tf.ensembles.bridge_ensemble import BridgeEnsemble
from bridge_tf.networks.classifier import TINY
from bridge_tf.training.distribution.devices import Devices, part_of_mean, shared
from bridge_tf.training.fit import fit
from bridge_tf.training.targets import weighted_mean


class Distillation(keras.Model):
    """Trains a network on the mean prediction of several others, with `compile` and `fit`.

    The loss is the mean over the batch of KL(mean_k softmax f_k(x) || softmax student(x)): the soft
    targets of the paper at temperature 1. Labels aren't needed.

    Args:
        student: a network that ends in logits; trained in place.
        teachers: classifiers of the same architecture; copied.
    """

    def __init__(self, student, teachers, **kwargs):
        super().__init__(**kwargs)
        self.student = student
        self.teacher = BridgeEnsemble(teachers[0], [], teachers[1:])
        self.teacher.trainable = False
        self.agreement = keras.metrics.Mean(name="agreement")
        self.built = True  # because its parts are

    @property
    def changing_variables(self) -> list:
        return self.student.variables

    def call(self, images, training=None):
        wanted = self.teacher(images, training=False)["probabilities"]
        logits = ops.cast(self.student(images, training=training), "float32")
        return {"student": ops.log_softmax(logits), "teacher": ops.stop_gradient(wanted)}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        student, teacher = y_pred["student"], y_pred["teacher"]
        difference = ops.log(ops.maximum(teacher, TINY)) - student
        same = ops.equal(ops.argmax(student, axis=-1), ops.argmax(teacher, axis=-1))
        self.agreement.update_state(ops.cast(same, "float32"))
        loss = weighted_mean(ops.sum(teacher * difference, axis=-1), sample_weight)
        return part_of_mean(loss + sum(self.losses))


def fit_student(
    student, teachers, data, recipe, *, devices: Devices | None = None, **options
) -> keras.callbacks.History:
    """Trains a network that ends in logits to predict the mean of `teachers`, in place.

    `data` has batches of images; labels are ignored. The others are as in `bridge_tf.fit_mode`.
    """
    with shared(student, devices) as student:
        model = Distillation(student, teachers)
        return fit(model, data, recipe, devices=devices, **options)
