"""Checks of labels, and the weights of classes by their numbers of images."""

import numpy as np

from bridge_tf.utils.errors import InputError


def check_labels(labels, num_classes: int | None, name: str = "labels") -> None:
    """Checks that labels are the numbers of classes, N or N×1, or their probabilities, N×classes.

    Args:
        labels: an array of whole numbers, of any type; or, for two columns or more, of numbers ≥ 0
            that sum to 1 in each row, as one-hot ones.
        num_classes: of the classifier; None if it isn't known.
        name: of the labels in messages.

    Raises:
        InputError: they have another shape, aren't whole numbers, or aren't below `num_classes`.
    """
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] > 1:
        _check_rows(labels, num_classes, name)
        return
    if labels.ndim != 1 and labels.shape[1:] != (1,):
        raise InputError(
            f"{name} must be one number for each image, N. Received: shape {labels.shape}"
        )
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


def _check_rows(labels: np.ndarray, num_classes: int | None, name: str) -> None:
    numbers = labels.dtype.kind in "biuf"
    if not numbers or (labels < 0).any() or not np.allclose(labels.sum(axis=1), 1, atol=1e-3):
        raise InputError(
            f"{name} must be the number of one class for each image, or its one-hot row, not those "
            "of a multi-label data set with several classes or none in a row. "
            f"Received: shape {labels.shape}"
        )
    if num_classes not in (None, labels.shape[1]):
        raise InputError(
            f"{name} must be the numbers of the classes, N, or have one column for each of "
            f"{num_classes} classes. Received: shape {labels.shape}"
        )


def class_numbers(labels, num_classes: int | None, name: str = "labels") -> np.ndarray:
    """Labels as int32, N, once they are checked as by `check_labels`; of one-hot rows too.

    Raises:
        InputError: as `check_labels`; or rows are no one-hot ones.
    """
    check_labels(labels, num_classes, name)
    labels = np.asarray(labels)
    if labels.ndim == 2 and labels.shape[1] > 1:
        if not np.isin(labels, (0, 1)).all():
            raise InputError(f"{name} must be whole: one class for each image. Received: shares")
        labels = labels.argmax(axis=1)
    return labels.reshape(-1).astype("int32")


def balanced_weights(labels) -> dict[int, float]:
    """The weight of each class that occurs: N / (number of such classes · its count).

    These are scikit-learn's "balanced" ones: all classes then weigh the same, images 1 on average.
    """
    classes, counts = np.unique(np.asarray(labels), return_counts=True)
    weights = counts.sum() / (len(classes) * counts)
    return dict(zip(map(int, classes), map(float, weights), strict=True))
