"""Knowledge distillation of a deep ensemble into one network (Hinton et al., 2015)."""

import math

import keras
from keras import ops

from bridge_tf.bridges.bridge import answers_at, bridge_features, bridge_taps
from bridge_tf.bridges.distillation import Distillation, mean_kl
from bridge_tf.ensembles.bridge_ensemble import BridgeEnsemble
from bridge_tf.networks.classifier import TINY
from bridge_tf.training.distribution.devices import Devices, part_of_mean, shared
from bridge_tf.training.fit import fit
from bridge_tf.utils.graph import check_taps, feature_of


def mean_of(networks) -> keras.Model:
    """A model to the logarithm of the networks' mean probabilities, N×classes.

    Args:
        networks: classifiers of the same architecture; copied.
    """
    ensemble = BridgeEnsemble(networks[0], [], networks[1:])
    log_probs = ops.log(ops.maximum(ensemble.output["probabilities"], TINY))
    return keras.Model(ensemble.input, log_probs, name="mean")


def with_bridges(student: keras.Model, bridges) -> keras.Model:
    """A model to the student's logits and those of each bridge behind it; shares their layers.

    Args:
        student: a Functional network that ends in logits.
        bridges: from `build_bridge`, of Type I, with different names; may be empty.
    """
    if not bridges:
        return student
    answers = []
    for bridge in bridges:
        check_taps(student, bridge_taps(bridge)[1])
        read = [feature_of(student, name) for name in bridge_features(bridge)[1]]
        answers += answers_at(bridge, read, [])
    return keras.Model(student.input, [student.output, *answers], name="student")


class StudentDistillation(Distillation):
    """Trains a network on given answers of several others, with `compile` and `fit`.

    The loss is that of a bridge: the mean over the batch of KL(mean_k softmax f_k(x) ||
    softmax student(x)), the soft targets of the paper at temperature 1, perhaps with a
    `label_share`. Bridges behind the student add KL(softmax f_k(x) || softmax bridge_k(x)) each,
    for k = 1, 2, …; their gradients also reach the student.

    Args:
        student: a network that ends in logits, or from `with_bridges`; trained in place.
        label_share, class_weight: as for `bridge_tf.bridges.distillation.Distillation`.

    Input: a dict: "images", and "answers", the log-probabilities of the teachers f_0, f_1, …, more
    than there are bridges, N×teachers×classes.
    """

    def __init__(self, student, label_share: float = 0.0, class_weight=None, **kwargs):
        super().__init__(student, label_share=label_share, class_weight=class_weight, **kwargs)

    def call(self, inputs, training=None):
        student, *bridges = keras.tree.flatten(self.bridge(inputs["images"], training=training))
        answers = ops.cast(inputs["answers"], "float32")
        return {
            "bridge": _log_softmax(student),
            "member": ops.logsumexp(answers, axis=1) - math.log(answers.shape[1]),
            "behind": [
                (answers[:, k], _log_softmax(bridge)) for k, bridge in enumerate(bridges, start=1)
            ],
        }

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        behind = [mean_kl(mode, bridge, sample_weight) for mode, bridge in y_pred["behind"]]
        return loss + part_of_mean(sum(behind)) if behind else loss


class StudentTraining(StudentDistillation):
    """A `StudentDistillation` from images: the teachers run in each step.

    Args:
        student, label_share, class_weight: as for `StudentDistillation`.
        teachers: classifiers of the same architecture, more than there are bridges; copied.
    """

    def __init__(self, student, teachers, label_share: float = 0.0, class_weight=None, **kwargs):
        super().__init__(student, label_share, class_weight, **kwargs)
        self.teachers = BridgeEnsemble(teachers[0], [], teachers[1:])
        self.teachers.trainable = False

    def call(self, inputs, training=None):
        answers = self.teachers(inputs, training=False)["log_probabilities"]
        return super().call({"images": inputs, "answers": answers}, training=training)


def _log_softmax(logits):
    """Log-probabilities, N×classes, in float32."""
    return ops.log_softmax(ops.cast(logits, "float32"))


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

    `student` may be from `with_bridges`.

    `data` has batches of images; labels beside them are read only with a `label_share`. That and
    `class_weight`, a weight for each class or None, are as in `StudentTraining`, the others as in
    `bridge_tf.fit_mode`.
    """
    with shared(student, devices) as student:
        model = StudentTraining(student, teachers, label_share, class_weight)
        return fit(model, data, recipe, devices=devices, **options)


def fit_from_answers(
    student, data, recipe, *, devices: Devices | None = None, **options
) -> keras.callbacks.History:
    """As `fit_student`, from batches of the inputs of `StudentDistillation`."""
    with shared(student, devices) as student:
        return fit(StudentDistillation(student), data, recipe, devices=devices, **options)
