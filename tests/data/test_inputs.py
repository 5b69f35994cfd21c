"""The kinds of data that users give."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from bridge_tf import InputError, Split
from bridge_tf.data import inputs

IMAGES = np.arange(12, dtype="float32").reshape(6, 2)
LABELS = np.array([0, 1, 2, 0, 1, 2])
ONE_HOT = np.eye(3)[LABELS]
PAIRS = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS))


class Batches(keras.utils.PyDataset):
    """Three batches of two."""

    def __len__(self):
        return 3

    def __getitem__(self, k):
        return IMAGES[2 * k : 2 * k + 2], LABELS[2 * k : 2 * k + 2]


FORMS = {
    "tuple": (IMAGES, LABELS),
    "list": [IMAGES, LABELS],
    "lists of rows": (IMAGES.tolist(), LABELS.tolist()),
    "lists of arrays": ([*IMAGES], [*LABELS]),
    "tensors": (tf.constant(IMAGES), tf.constant(LABELS)),
    "split": Split(IMAGES, LABELS),
    "split of lists": Split([*IMAGES], [*LABELS]),
    "one-hot": (IMAGES, ONE_HOT),
    "column": (IMAGES, LABELS[:, None]),
    "tf.data": PAIRS.batch(4),
    "tf.data, unknown length": PAIRS.filter(lambda x, y: y >= 0).batch(4),
    "tf.data, one-hot and weights": PAIRS.map(lambda x, y: (x, tf.one_hot(y, 3), 1.0)).batch(4),
    "PyDataset": Batches(),
    "generator": lambda: ((IMAGES[k : k + 3], LABELS[k : k + 3]) for k in (0, 3)),
}


@pytest.mark.parametrize("form", FORMS)
def test_all_forms_give_the_same_rows(form):
    data = FORMS[form]() if callable(FORMS[form]) else FORMS[form]
    found = list(inputs.chunks(data, "test"))
    assert len(found) == 1
    np.testing.assert_array_equal(np.asarray(found[0][0]), IMAGES)
    np.testing.assert_array_equal(found[0][1], LABELS)


def test_large_sets_come_in_pieces(monkeypatch):
    monkeypatch.setattr(inputs, "_ROWS", 4)
    found = [labels.tolist() for _, labels in inputs.chunks(PAIRS.batch(2), "test")]
    assert found == [[0, 1, 2, 0], [1, 2]]
    found = [labels.tolist() for _, labels in inputs.chunks(PAIRS.take(4).batch(2), "test")]
    assert found == [[0, 1, 2, 0]]


REFUSED = {
    "never ends": PAIRS.batch(2).repeat(),
    "isn't batched": PAIRS,
    "no batches": PAIRS.take(0).batch(2),
    "needs labels": IMAGES,
    "one row for each image": (IMAGES, LABELS[:3]),
    "at least one": (IMAGES[:0], LABELS[:0]),
    "or its one-hot row": (IMAGES, ONE_HOT / 2),
    "unknown shapes": tf.data.Dataset.from_generator(
        lambda: iter([(IMAGES, LABELS)]), output_types=("float32", "int64")
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_used_is_refused_in_one_line(what):
    with pytest.raises(InputError, match=rf"^(`test`:|test labels) .*{what}") as error:
        list(inputs.chunks(REFUSED[what], "test"))
    assert "\n" not in str(error.value)


def test_the_number_of_batches():
    assert inputs.number_of_batches(PAIRS.batch(4)) == 2
    assert inputs.number_of_batches(PAIRS.batch(4, drop_remainder=True)) == 1
    assert inputs.number_of_batches(PAIRS.repeat().batch(4)) == np.inf
    assert inputs.number_of_batches(FORMS["tf.data, unknown length"]) is None
    assert inputs.number_of_batches(Batches()) == 3
    assert inputs.number_of_batches(FORMS["generator"]()) is None


def test_the_shape_of_labels_is_known_before_they_are_read():
    assert inputs.shape_of_labels((IMAGES, LABELS)) == (6,)
    assert inputs.shape_of_labels(PAIRS.batch(4)) == (None,)
    assert inputs.shape_of_labels(Batches()) == (2,)
    assert inputs.shape_of_labels(IMAGES) == ()
    assert inputs.shape_of_labels(PAIRS.map(lambda x, y: x).batch(4)) == ()
    assert inputs.shape_of_labels(FORMS["generator"]()) is None
    assert inputs.has_soft_labels((IMAGES, ONE_HOT))
    assert not inputs.has_soft_labels((IMAGES, LABELS[:, None]))


def test_texts_become_tensors():
    for texts in ([["a b"], ["c"]], np.array([["a b"], ["c"]]), np.array([["a b"], ["c"]], object)):
        found, _ = inputs.entered((texts, [0, 1]), "data")
        assert found.dtype == tf.string
        assert found.numpy().tolist() == [[b"a b"], [b"c"]]


def test_several_inputs_stay_apart():
    left, right = inputs.entered(([IMAGES, 2 * IMAGES], LABELS), "data")[0]
    np.testing.assert_array_equal(right, 2 * left)
    found = inputs.entered(({"a": IMAGES.tolist(), "b": IMAGES}, LABELS), "data")[0]
    np.testing.assert_array_equal(found["a"], found["b"])


def test_inputs_alone():
    one = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3)])
    for form in ("tuple", "split", "lists of rows"):
        np.testing.assert_array_equal(inputs.only_inputs(FORMS[form], "data", one), IMAGES)
    batches = PAIRS.batch(2).repeat()
    assert inputs.only_inputs(batches, "data", one, steps=2) is batches
    with pytest.raises(InputError, match=r"^`data`: never ends; give `steps`"):
        inputs.only_inputs(batches, "data", one)
    ends = [keras.Input((2,)), keras.Input((2,))]
    two = keras.Model(ends, keras.layers.Add()(ends))
    both = [IMAGES, IMAGES]
    assert inputs.only_inputs(both, "data", two) is both
    assert inputs.only_inputs((both, LABELS), "data", two)[1] is IMAGES


def test_some_inputs_end_with_their_rows():
    np.testing.assert_array_equal(
        inputs.some_inputs(PAIRS.batch(4).repeat(), "images", 5), IMAGES[:5]
    )
    np.testing.assert_array_equal(inputs.some_inputs(Split(IMAGES, LABELS), "images"), IMAGES)
    with pytest.raises(InputError, match=r"^`images`: has no batches"):
        inputs.some_inputs(PAIRS.take(0).batch(2), "images")
