"""Checks of labels, and the weights of classes by their numbers of images."""

import numpy as np

from bridge_tf.utils.errors import InputError


def check_labels(labels, num_classes: int | None, name: str = "labels") -> None:
    """Checks that labels are the numbers of classes, N or N×1.

    Args:
        labels: an array of whole numbers, of any type.
        num_classes: of the classifier; None if it isn't known.
        name: of the labels in messages.

    Raises:
        InputError: they have another shape, aren't whole numbers, or aren't below `num_classes`.
    """
    labels = np.asarray(labels)
    if labels.ndim != 1 and labels.shape[1:] != (1,):
        raise InputError(f"{name} {_shape_problem(labels)}. Received: shape {labels.shape}")
    numbers = labels.dtype.kind in "biuf"
    wrong = labels[labels != np.round(labels)] if numbers else labels
    if numbers and not wrong.size:
        wrong = labels[(labels < 0) | (labels >= (num_classes or np.inf))]
    if wrong.size:
        most = "on" if num_classes is None else f"to {num_classes - 1}"
        raise InputError(
            f"{name} must be whole numbers from 0 {most}, the numbers of the classes. "
            f"Received: {wrong.flat[0]}"
        )


def class_numbers(labels, num_classes: int, name: str = "labels") -> np.ndarray:
    """Labels as int32, N, once they are checked as by `check_labels`."""
    check_labels(labels, num_classes, name)
    return np.asarray(labels).reshape(-1).astype("int32")


def _shape_problem(labels: np.ndarray) -> str:
    if labels.ndim == 2 and labels.dtype.kind in "biuf" and np.isin(labels, (0, 1)).all():
        if (labels.sum(axis=1) == 1).all():
            return "must be the numbers of the classes, not one-hot: give labels.argmax(axis=-1)"
        return (
            "must be the number of one class for each image, not those of a multi-label data set "
            "with several classes or none in a row"
        )
    return "must be one number for each image, N"


def balanced_weights(labels) -> dict[int, float]:
    """The weight of each class that occurs: N / (number of such classes · its count).

    These are scikit-learn's "balanced" ones: all classes then weigh the same, images 1 on average.
    """
    classes, counts = np.unique(np.asarray(labels), return_counts=True)
    weights = counts.sum() / (len(classes) * counts)
    return dict(zip(map(int, classes), map(float, weights), strict=True))
