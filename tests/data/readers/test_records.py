"""Images that stay in the files of a TensorFlow Dataset."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from bridge_tf.data import load_dataset, training_batches
from bridge_tf.data.readers.records import RecordImages
from bridge_tf.data.readers.tfds import read_tfds
from bridge_tf.utils.errors import InputError

_GENERATOR = np.random.default_rng(0)
# Of 32 pixels the middle 28 are shown, as of 256 the middle 224; the last test image is the first
# training image.
SIZES = [(32, 40), (48, 32), (32, 32), (40, 64)] * 10
IMAGES = [_GENERATOR.integers(0, 256, (*size, 3), "uint8") for size in SIZES]
IMAGES[39] = IMAGES[0]
LABELS = np.arange(40) % 2
SIZE = 28


def prepare(folder, images=IMAGES, shape=(None, None, 3), shards=2):
    """Writes the data set `tiny`, 30 images for training in two files, 10 for testing."""

    def split(part):
        examples = lambda: ({"image": images[k], "label": LABELS[k]} for k in range(40)[part])  # noqa: E731
        signature = {"image": tf.TensorSpec(shape, tf.uint8), "label": tf.TensorSpec([], tf.int64)}
        return tf.data.Dataset.from_generator(examples, output_signature=signature)

    image = tfds.features.Image(shape=shape, encoding_format="png")
    label = tfds.features.ClassLabel(names=["ant", "cat"])
    tfds.dataset_builders.store_as_tfds_dataset(
        name="tiny",
        version="1.0.0",
        data_dir=folder,
        features=tfds.features.FeaturesDict({"image": image, "label": label}),
        split_datasets={"train": split(slice(0, 30)), "validation": split(slice(30, 40))},
        download_config=tfds.download.DownloadConfig(num_shards=shards),
        disable_shuffling=True,
    )
    return str(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return prepare(tmp_path_factory.mktemp("records"))


@pytest.fixture(scope="module")
def alike(tmp_path_factory):
    """The same, of images of one size."""
    cut = [image[:32, :32] for image in IMAGES]
    return prepare(tmp_path_factory.mktemp("alike"), cut, (32, 32, 3))


def batches(split, **options):
    options = {"batch_size": 8, "epochs": 2, "seed": 3} | options
    return list(training_batches(split, **options).as_numpy_iterator())


def test_every_image_is_found_and_shown_by_its_middle(folder):
    source = read_tfds("tiny", folder, SIZE)
    images = source.train.images
    assert isinstance(images, RecordImages) and len(images.paths) == 2
    assert images.shape == (30, SIZE, SIZE, 3) and images.nbytes == 30 * SIZE * SIZE * 3
    np.testing.assert_array_equal(source.train.labels, LABELS[:30])
    for k in (0, 4, 28):  # 32×40: cropped alone
        np.testing.assert_array_equal(images[k], IMAGES[k][2:30, 6:34])
    for k in (2, 26):  # 32×32
        np.testing.assert_array_equal(images[k], IMAGES[k][2:30, 2:30])
    box = IMAGES[3][2:37, 14:49].astype("float32")  # 40×64
    expected = tf.image.resize(box, (SIZE, SIZE), antialias=True)
    np.testing.assert_array_equal(images[3], np.round(expected))


def test_they_are_looked_up_as_in_an_array(folder):
    images = read_tfds("tiny", folder, SIZE).train.images
    everything = np.asarray(images)
    assert everything.dtype == images.dtype == np.uint8
    np.testing.assert_array_equal(images[-2:], everything[-2:])
    np.testing.assert_array_equal(images[[7, 2, 7]], everything[[7, 2, 7]])
    taken = images.take([9, 1, 4])
    assert isinstance(taken, RecordImages)
    np.testing.assert_array_equal(taken[1:], everything[[1, 4]])


def test_a_resized_crop_is_of_the_image_as_it_is_stored(folder):
    train = read_tfds("tiny", folder, SIZE).train
    found = batches(train, augment="resized_crop_flip")
    assert [x.shape for x, _ in found] == [(8, SIZE, SIZE, 3)] * 6
    again = batches(train, augment="resized_crop_flip", first_step=2)
    for (x, y), (u, v) in zip(found[2:], again, strict=True):
        np.testing.assert_array_equal(x, u)
        np.testing.assert_array_equal(y, v)
    for epoch in (found[:3], found[3:]):
        assert sum(len(y) for _, y in epoch) == 24


@pytest.mark.parametrize(
    "options",
    [{}, {"augment": "crop_flip"}, {"augment": "resized_crop_flip"}, {"mixup_alpha": 0.4}],
)
def test_batches_are_those_of_images_in_memory(alike, monkeypatch, options):
    held = read_tfds("tiny", alike).train
    assert isinstance(held.images, np.ndarray)
    monkeypatch.setattr(
        "bridge_tf.data.readers.tfds.available_memory", lambda: 2 * 40 * 32 * 32 * 3 - 1
    )
    stored = read_tfds("tiny", alike).train
    assert isinstance(stored.images, RecordImages)
    for (x, y), (u, v) in zip(batches(held, **options), batches(stored, **options), strict=True):
        np.testing.assert_array_equal(x, u)
        np.testing.assert_array_equal(y, v)


def test_a_data_set_keeps_training_images_alone_in_their_files(folder):
    dataset = load_dataset("tfds:tiny", folder, image_size=SIZE)
    assert isinstance(dataset.train.images, RecordImages)
    for split in (dataset.validation, dataset.test):
        assert isinstance(split.images, np.ndarray)
    assert [len(dataset.train), len(dataset.validation), len(dataset.test)] == [27, 3, 10]
    assert dataset.image_shape == (SIZE, SIZE, 3)
    assert dataset.faults.duplicates == 1
    limited = load_dataset("tfds:tiny", folder, image_size=SIZE, max_images=5)
    assert [len(limited.train), len(limited.validation), len(limited.test)] == [5, 3, 5]
    assert limited.faults.test_left_out == 5
    shown = dataset.train.limited(5)
    np.testing.assert_array_equal(np.asarray(shown.images), np.asarray(limited.train.images))
    assert dataset.digest == load_dataset("tfds:tiny", folder, image_size=SIZE).digest
    other = load_dataset("tfds:tiny", folder, image_size=SIZE, seed=1)
    assert dataset.digest != other.digest


def test_images_that_do_not_fit_into_memory_are_refused_in_one_line(folder, monkeypatch):
    monkeypatch.setattr("bridge_tf.utils.memory.available_memory", lambda: 1000)
    with pytest.raises(InputError) as error:
        load_dataset("tfds:tiny", folder, image_size=SIZE)
    assert str(error.value) == (
        "`dataset=tfds:tiny`, validation: 3 images of 28×28 pixels need 0.0 GB of memory, 0.0 GB "
        "are available; use fewer by `max_images`"
    )


def test_images_of_different_sizes_need_a_size(folder):
    with pytest.raises(InputError, match=r"^`dataset=tfds:tiny`: .*`image_size` says which"):
        load_dataset("tfds:tiny", folder)


def test_missing_images_and_damage_are_said(tmp_path):
    folder = prepare(tmp_path, shards=1)
    (path,) = tmp_path.rglob("*-train.tfrecord-*")
    whole = path.read_bytes()
    records = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in records[:12]:
            writer.write(record)
    with pytest.raises(InputError, match="split train holds 12 of 30 images"):
        load_dataset("tfds:tiny", folder, image_size=SIZE)
    path.write_bytes(whole[:5000] + b"\0" * 50 + whole[5050:])
    with pytest.raises(
        InputError, match=r"^`dataset=tfds:tiny`: can't be read .*; prepare it anew"
    ):
        load_dataset("tfds:tiny", folder, image_size=SIZE)
