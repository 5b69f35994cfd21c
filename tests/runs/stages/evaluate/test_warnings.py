import dataclasses

import numpy as np
import pytest

from bridge_tf.data.dataset import Dataset, Split
from bridge_tf.data.issues import Faults
from bridge_tf.runs.stages.evaluate.warnings import find_warnings


def dataset(**faults):
    """40 images a split, and these faults."""
    split = Split(np.zeros((40, 2, 2, 1), "uint8"), np.zeros(40, "int32"))
    return Dataset("tiny", ("a", "b"), split, split, split, Faults(**faults))


def curve(*nlls, pair=(0, 1)):
    points = [
        {"r": float(r), "accuracy": 0.5, "nll": nll}
        for r, nll in zip(np.linspace(0, 1, len(nlls)), nlls, strict=True)
    ]
    return {"curve": list(pair), "points": points}


def bridge(kl, kl_base, r=0.5, residual=False):
    return {"curve": [0, 2], "r": r, "kl": kl, "kl_base": kl_base, "residual": residual}


def test_a_good_run_warns_of_nothing():
    assert find_warnings(dataset(), 10, [curve(0.2, 0.2, 0.2)], [bridge(0.01, 0.02)]) == []


@pytest.mark.parametrize(
    ("faults", "expected"),
    [
        (
            {"skipped": ("train/a/0.png",)},
            "1 image that can't be read or is mislabelled was left out (`skip_bad_images`): "
            "train/a/0.png",
        ),
        (
            {"skipped": tuple("abcdefghijkl")},
            "12 images that can't be read or are mislabelled were left out (`skip_bad_images`): "
            "a, b, c, d, e, f, g, h, i, j and 2 more",
        ),
        (
            {"duplicates": 1},
            "1 of the 40 test images is a training image too, so that all figures are better than "
            "on images never seen: remove the copies from one of the two",
        ),
        (
            {"duplicates": 12},
            "12 of the 40 test images are training images too, so that all figures are better than "
            "on images never seen: remove the copies from one of the two",
        ),
        (
            {"classes_without_test": ("bee",)},
            "no test image is of the class bee, so that the figures say nothing of it: add test "
            "images of every class",
        ),
        (
            {"classes_without_test": ("bee", "cat")},
            "no test image is of the 2 classes bee, cat, so that the figures say nothing of them: "
            "add test images of every class",
        ),
        (
            {"test_left_out": 1000},
            "the figures are of 40 of the 1,040 test images only: `max_images=0` measures all",
        ),
    ],
)
def test_faults_of_the_data(faults, expected):
    assert find_warnings(dataset(**faults), 10, [], []) == [expected]


def test_each_fault_has_a_warning_of_its_own():
    data = dataset(skipped=("a",), duplicates=1, classes_without_test=("b",), test_left_out=1)
    warnings = find_warnings(data, 9, [curve(0.1, 9, 0.1)], [bridge(2, 1)])
    assert len(set(warnings)) == len(warnings) == 7
    # The page puts the full stops.
    assert not any("\n" in warning or warning.endswith(".") for warning in warnings)


@pytest.mark.parametrize(
    ("source", "remedy"),
    [
        ("train", "a larger `validation_fraction`"),
        ("test", "more test images"),
        ("own", "more validation images"),
    ],
)
def test_few_errors_on_the_validation_split(source, remedy):
    data = dataclasses.replace(dataset(), validation_from=source)
    (warning,) = find_warnings(data, 9, [], [])
    assert warning.startswith("one network is wrong on 9 of the 40 validation images; ")
    assert warning.endswith(f": {remedy} would steady them")


@pytest.mark.parametrize(("steps", "warned"), [(120, True), (300, False)])
def test_batch_norms_that_still_hold_what_they_began_with(steps, warned):
    found = find_warnings(dataset(), 10, [], [], unsettled={"modes": (0.99**steps, steps)})
    assert len(found) == warned
    for warning in found:
        assert warning.startswith("batch normalization in the modes still holds 30% of its first")
        assert "after 120 training steps" in warning and "more `mode_epochs`, a" in warning


@pytest.mark.parametrize(
    ("nlls", "warned"),
    [
        ((0.2, 0.301, 0.1), True),
        ((0.1, 0.301, 0.2), True),
        # Not beyond 1.5 times the worse end.
        ((0.2, 0.299, 0.1), False),
        # 1.5 times, but not 0.05 nats above.
        ((0.02, 0.069, 0.02), False),
        ((0.02, 0.071, 0.02), True),
        # High elsewhere than in the middle.
        ((0.2, 0.9, 0.2, 0.2, 0.2), False),
        ((0.2, 0.2, 0.9, 0.2, 0.2), True),
        # No point in the very middle.
        ((0.2, 0.2, 0.9, 0.9, 0.2, 0.2), True),
        # Ends alone.
        ((0.2, 0.9), False),
    ],
)
def test_a_curve_far_above_its_ends(nlls, warned):
    curves = [curve(0.2, 0.2, 0.2), curve(*nlls, pair=(0, 2))]
    assert len(find_warnings(dataset(), 10, curves, [])) == warned


def test_a_curve_is_named_with_its_figures_and_what_to_do():
    (warning,) = find_warnings(dataset(), 10, [curve(0.2, 0.9, 0.1, pair=(0, 2))], [])
    assert warning == (
        "the curve 0-2 is no path of low loss: at r = 0.5 its NLL is 0.9000, at its ends 0.2000 "
        "and 0.1000; more `curve_epochs` or `align=activations` would lower it"
    )
    (warning,) = find_warnings(dataset(), 10, [curve(0.2, 0.9, 0.1)], [], aligned=True)
    assert warning.endswith("; more `curve_epochs` would lower it")


@pytest.mark.parametrize(
    ("row", "warned"),
    [
        (bridge(0.04, 0.05), False),
        (bridge(0.05, 0.05), True),
        (bridge(0.06, 0.05), True),
        # There the member is the base.
        (bridge(0.01, 0.0, r=0.0), False),
    ],
)
def test_a_bridge_no_nearer_than_the_base(row, warned):
    assert len(find_warnings(dataset(), 10, [], [row])) == warned


@pytest.mark.parametrize(
    ("residual", "advice"), [(False, "`residual`, which begins at the base, "), (True, "")]
)
def test_a_bridge_is_named_with_its_figures_and_what_to_do(residual, advice):
    (warning,) = find_warnings(dataset(), 10, [], [bridge(0.06, 0.05, 0.25, residual)])
    assert warning == (
        "the bridge 0-2 at r = 0.25 is no nearer to its member than the base is (KL 0.0600, of "
        f"the base 0.0500); {advice}more `bridge_epochs`, another `taps` or a larger "
        "`bridge_width` would help"
    )


def test_a_training_that_was_retried_is_told():
    retries = {"modes/1.keras": ["the loss became nan in step 7", "the loss became inf in step 8"]}
    (warning,) = find_warnings(dataset(), 10, [], [], retries=retries)
    assert warning == (
        "the training of modes/1.keras diverged 2 times and ended at 1/4 of the learning rate, "
        "unlike the others: the loss became nan in step 7; the loss became inf in step 8"
    )


def test_a_mode_that_learned_nothing_is_told():
    images = np.zeros((40, 2, 2, 1), "uint8")
    test = Split(images, np.repeat([0, 1], [30, 10]).astype("int32"))
    tiny = dataclasses.replace(dataset(), test=test)
    (warning,) = find_warnings(tiny, 10, [], [], accuracies=[0.8, 0.75])
    assert warning.startswith("mode 1 has learned nothing: its accuracy of 0.7500 is")


def test_other_data_than_those_of_the_run_are_told():
    (warning,) = find_warnings(dataset(), 10, [], [], changed=["dataset"])
    assert warning.startswith("`dataset` isn't what it was when the run began")
