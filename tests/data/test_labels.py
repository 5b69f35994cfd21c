import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from bridge_tf import InputError
from bridge_tf.data.labels import balanced_weights, check_labels, class_numbers


@pytest.mark.parametrize(
    "labels",
    [
        [0, 2, 1],
        [[0], [2], [1]],
        [0.0, 2.0, 1.0],
        np.array([0, 2, 1], "uint8"),
        np.eye(3)[[0, 2, 1]],
    ],
)
def test_numbers_of_classes_in_any_form(labels):
    found = class_numbers(labels, 3)
    assert found.dtype == "int32" and found.tolist() == [0, 2, 1]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.eye(3)[[0, 1]], r"one column for each of 2 classes. Received: shape \(2, 3\)"),
        ([[1, 1, 0], [0, 0, 0]], "multi-label data set with several classes or none"),
        ([[0.5, 0.6]], "or its one-hot row"),
        (np.zeros((1, 2, 2)), r"one number for each image, N. Received: shape \(1, 2, 2\)"),
        ([0, 2], "whole numbers from 0 to 1, the numbers of the classes. Received: 2"),
        ([0, -1], "Received: -1"),
        ([0, 0.5], "Received: 0.5"),
        ([0, np.nan], "Received: nan"),
        (["cat", "dog"], "Received: cat"),
    ],
)
def test_others_are_refused_by_name(labels, message):
    with pytest.raises(InputError, match=f"^test labels must be .*{message}"):
        check_labels(labels, 2, "test labels")


def test_probabilities_are_labels_but_no_numbers():
    check_labels([[0.5, 0.5]], 2)
    with pytest.raises(InputError, match="one class for each image"):
        class_numbers([[0.5, 0.5]], 2)


def test_balanced_weights_are_those_of_scikit_learn():
    labels = np.repeat([0, 1, 3], [5, 20, 75])
    expected = compute_class_weight("balanced", classes=np.array([0, 1, 3]), y=labels)
    assert balanced_weights(labels) == pytest.approx(dict(zip([0, 1, 3], expected, strict=True)))
    assert np.mean([balanced_weights(labels)[label] for label in labels]) == pytest.approx(1)
