"""Prepared TensorFlow Datasets."""

import json
import os
import pathlib
import sys

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

from bridge_tf.data import load_dataset
from bridge_tf.data.issues import Faults
from bridge_tf.data.readers.tfds import read_tfds
from bridge_tf.utils.errors import InputError

IMAGES = np.random.default_rng(0).integers(0, 256, (30, 4, 5, 3), "uint8")
LABELS = np.arange(30) % 2
CLASSES = tfds.features.ClassLabel(names=["ant", "cat"])


def _prepare(folder, splits, label=CLASSES, labels=LABELS, shape=(4, 5, 3)):
    """Writes the data set `tiny`, 20 images for training and 10 for every other split."""
    part = {name: slice(0, 20) if name == "train" else slice(20, 30) for name in splits}
    tfds.dataset_builders.store_as_tfds_dataset(
        name="tiny",
        version="1.2.0",
        data_dir=folder,
        features=tfds.features.FeaturesDict(
            {"image": tfds.features.Image(shape=shape, encoding_format="png"), "label": label}
        ),
        split_datasets={
            name: tf.data.Dataset.from_tensor_slices(
                {"image": IMAGES[where], "label": np.asarray(labels)[where]}
            )
            for name, where in part.items()
        },
        disable_shuffling=True,
    )
    return str(folder)


@pytest.mark.parametrize("spec", ["tiny", "tiny:1.2.0"])
@pytest.mark.parametrize("test", ["test", "validation"])
def test_images_and_labels_come_back(tmp_path, spec, test):
    source = read_tfds(spec, _prepare(tmp_path, ["train", test]))
    assert (source.name, source.class_names) == ("tiny", ("ant", "cat"))
    np.testing.assert_array_equal(source.train.images, IMAGES[:20])
    np.testing.assert_array_equal(source.train.labels, LABELS[:20])
    np.testing.assert_array_equal(source.test.images, IMAGES[20:])
    np.testing.assert_array_equal(source.test.labels, LABELS[20:])
    assert source.train.labels.dtype == np.int32


def test_a_validation_split_beside_a_test_split_is_the_validation_split(tmp_path):
    labels = np.r_[LABELS[:20], 1, LABELS[21:]]
    folder = _prepare(tmp_path, ["train", "validation", "test"], labels=labels)
    dataset = load_dataset("tfds:tiny", folder, validate_on="test")
    assert dataset.validation_from == "own"
    np.testing.assert_array_equal(dataset.train.images, IMAGES[:20])
    for split in (dataset.validation, dataset.test):
        np.testing.assert_array_equal(split.images, IMAGES[20:])
        np.testing.assert_array_equal(split.labels, labels[20:])


def test_a_fifth_is_held_out_without_test_and_validation_splits(tmp_path):
    none = load_dataset("tfds:tiny", _prepare(tmp_path / "none", ["train"]))
    assert [len(none.train), len(none.validation), len(none.test)] == [14, 2, 4]


@pytest.mark.parametrize(
    "spec",
    ["other", "tiny:9.9.9", "tiny:latest", "tiny/small", "mnist", "tiny/..:1.2.0",
     "huggingface:tiny", "kaggle:tiny:1.2.0", "tiny:1.2.0/file_format=tfrecord"],
)  # fmt: skip
def test_a_missing_data_set_is_said_with_what_is_there(tmp_path, spec):
    folder = _prepare(tmp_path, ["train", "test"])
    with pytest.raises(InputError) as error:
        load_dataset(f"tfds:{spec}", folder)
    assert str(error.value) == (
        f"`dataset=tfds:{spec}`: not prepared in `data_dir={folder}`, which holds tiny:1.2.0; "
        "prepare it there with tensorflow-datasets"
    )


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match=r"^`data_dir=.*nowhere`: no such folder"):
        load_dataset("tfds:tiny", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match=r"^`dataset=tfds:tiny`: not prepared .* by `data_dir`$"):
        load_dataset("tfds:tiny")


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"splits": ["test"]}, "needs a split train"),
        ({"splits": ["train"], "shape": (None, None, 3)}, "all must be of one size"),
        ({"splits": ["train"], "label": np.int64}, "its labels are no classes"),
        ({"splits": ["train", "test"], "labels": np.append(LABELS[:25], [-1] * 5)},
         "split test carry no label (-1)"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(tmp_path, options, part):
    folder = _prepare(tmp_path, **options)
    with pytest.raises(InputError) as error:
        load_dataset("tfds:tiny", folder)
    message = str(error.value)
    assert message.startswith("`dataset=tfds:tiny`: ")
    assert part in message
    assert "\n" not in message


def _rewrite(folder, change) -> None:
    """Changes the records of the training images, but not the number that the data set tells."""
    (path,) = folder.rglob("*-train.tfrecord-*")
    records = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]
    with tf.io.TFRecordWriter(str(path)) as writer:
        for record in change(records):
            writer.write(record)


def test_more_examples_than_were_prepared_are_taken(tmp_path):
    folder = _prepare(tmp_path, ["train", "test"])
    _rewrite(tmp_path, lambda records: records + records[:3])
    source = read_tfds("tiny", folder)
    np.testing.assert_array_equal(source.train.images, [*IMAGES[:20], *IMAGES[:3]])
    np.testing.assert_array_equal(source.train.labels, [*LABELS[:20], *LABELS[:3]])


@pytest.mark.parametrize("left", [19, 7, 0])
def test_fewer_examples_than_were_prepared_are_damage(tmp_path, left):
    folder = _prepare(tmp_path, ["train", "test"])
    _rewrite(tmp_path, lambda records: records[:left])
    with pytest.raises(InputError) as error:
        load_dataset("tfds:tiny", folder)
    assert str(error.value) == (
        f"`dataset=tfds:tiny`: its split train holds {left} of 20 images, so that its files are "
        "damaged; prepare it anew"
    )


IMAGE = "tensorflow_datasets.core.features.image_feature.Image"
DICT = "tensorflow_datasets.core.features.features_dict.FeaturesDict"


@pytest.fixture
def evil(tmp_path, monkeypatch):
    """A class whose module says so in a file when it is imported."""
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w').close()")
    monkeypatch.syspath_prepend(tmp_path)
    yield "evil.Image"
    assert not (tmp_path / "imported").exists() and sys.modules.pop("evil", None) is None


def _legacy(evil, inner: str):
    """A features.json in forms that earlier versions wrote."""
    nested = {"image": {"type": evil, "content": {}}}
    text = json.dumps({"features": {"image": {"pythonClassName": evil}}})
    return {
        "type": {"type": evil, "content": {}},
        "content": {"type": DICT, "content": nested},
        "json": {"pythonClassName": DICT, "jsonFeature": {"json": json.dumps(nested)}},
        "proto": {"type": DICT, "content": text, "proto_cls": "tensorflow_datasets.FeaturesDict"},
        "snake": {"python_class_name": evil, "json_feature": {"json": "{}"}},
    }[inner]


def _refusal(spec: str, folder: str | None) -> str:
    with pytest.raises(InputError) as error:
        load_dataset(spec, folder)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("form", ["today", "type", "content", "json", "proto", "snake"])
def test_a_folder_cannot_have_code_imported(tmp_path, evil, form):
    folder = _prepare(tmp_path / "data", ["train", "test"])
    path = tmp_path / "data" / "tiny" / "1.2.0" / "features.json"
    text = path.read_text()
    assert IMAGE in text
    path.write_text(
        text.replace(IMAGE, evil) if form == "today" else json.dumps(_legacy(evil, form))
    )
    for name in ("tiny", "Tiny", "tiny:1.2.0", "tiny:1.*.*"):
        assert _refusal(f"tfds:{name}", folder) == (
            f"`dataset=tfds:{name.split(':')[0]}`: {path} names the class 'evil.Image', which "
            "isn't one of tensorflow_datasets; prepare it anew with features of "
            "tensorflow_datasets alone"
        )


def test_nor_can_a_configuration_or_the_default_folder(tmp_path, evil, monkeypatch):
    _prepare(tmp_path / "data", ["train", "test"])
    tiny = tmp_path / "data" / "tiny"
    path = tiny / "1.2.0" / "features.json"
    path.write_text(path.read_text().replace(IMAGE, evil))
    monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(tmp_path / "data"))
    assert f"{path} names the class" in _refusal("tfds:tiny", None)
    (tiny / "small").mkdir()
    (tiny / "1.2.0").rename(tmp_path / "elsewhere")
    (tiny / "small" / "1.2.0").symlink_to(tmp_path / "elsewhere")
    (tiny / ".config").mkdir()
    config = tiny / ".config" / "metadata.json"
    config.write_text('{"default_config_name": "small"}')
    for name in ("tiny", "tiny/small"):
        said = _refusal(f"tfds:{name}", str(tmp_path / "data"))
        assert "small/1.2.0/features.json names the class" in said
    for elsewhere in ("..", "../..", "small/.", str(tmp_path)):
        config.write_text(json.dumps({"default_config_name": elsewhere}))
        said = _refusal("tfds:tiny", str(tmp_path / "data"))
        assert f"{config} names the configuration {elsewhere!r}" in said


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '"x"', "[" * 100_000, "\0", "\udcff"])
def test_damaged_features_are_said_to_be_so(tmp_path, text):
    folder = _prepare(tmp_path, ["train", "test"])
    path = tmp_path / "tiny" / "1.2.0" / "features.json"
    path.write_bytes(text.encode(errors="surrogateescape"))
    said = _refusal("tfds:tiny", folder)
    assert said.startswith("`dataset=tfds:tiny`: can't be read (")
    assert said.endswith("); prepare it anew")


def test_other_versions_and_unfinished_ones_do_not_matter(tmp_path):
    folder = _prepare(tmp_path, ["train", "test"])
    for other in ("1.1.0", "incomplete.ABC_1.2.0"):
        (tmp_path / "tiny" / other).mkdir()
        (tmp_path / "tiny" / other / "features.json").write_text("{")
    assert len(read_tfds("tiny:1.2.0", folder).train) == 20


def test_a_truncated_file_is_said_in_plain_words(tmp_path):
    folder = _prepare(tmp_path, ["train", "test"])
    (path,) = tmp_path.rglob("*-train.tfrecord-*")
    path.write_bytes(path.read_bytes()[:-10])
    said = _refusal("tfds:tiny", folder)
    assert said.startswith("`dataset=tfds:tiny`: can't be read (truncated record at ")


def test_cifar10_jpeg():
    beside = pathlib.Path(__file__).resolve().parents[3] / "shared" / "tfds"
    folder = pathlib.Path(os.environ.get("BRIDGE_TF_TFDS_DIR", beside))
    if not (folder / "cifar10_jpeg").is_dir():
        pytest.skip(f"cifar10_jpeg is not prepared in {folder}; see BRIDGE_TF_TFDS_DIR")
    dataset = load_dataset("tfds:cifar10_jpeg:1.0.0", str(folder))
    assert dataset.name == "cifar10_jpeg"
    assert dataset.faults == Faults()
    assert dataset.class_names[:3] == ("airplane", "automobile", "bird")
    assert (dataset.num_classes, dataset.image_shape) == (10, (32, 32, 3))
    for split, each in ((dataset.train, 4500), (dataset.validation, 500), (dataset.test, 500)):
        assert split.images.shape == (10 * each, 32, 32, 3)
        assert split.images.dtype == np.uint8
        np.testing.assert_array_equal(np.bincount(split.labels), [each] * 10)
    # The pixel mean of CIFAR-10, (0.491, 0.482, 0.447). JPEG shifts it by up to 0.006; channels
    # in another order would be off by 0.04.
    mean = dataset.train.images.mean(axis=(0, 1, 2)) / 255
    np.testing.assert_allclose(mean, [0.491, 0.482, 0.447], atol=0.01)
