"""Which files of a folder are taken, and for which split and class."""

import logging
import os

import numpy as np
import pytest
from PIL import Image

from bridge_tf.data import load_dataset
from bridge_tf.data.load import read_test_split
from bridge_tf.data.readers.folder import read_folder
from bridge_tf.utils.errors import InputError


def _save(path, value, kind="PNG", **options):
    """A picture of one grey value; no two pictures here have the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 4), value).save(path, kind, **options)


def _values(split):
    return {
        int(label): split.images[split.labels == label][:, 0, 0, 0].tolist()
        for label in np.unique(split.labels)
    }


@pytest.fixture
def root(tmp_path):
    """Two classes of 12 images, 1 to 12 and 21 to 32, in a folder without splits."""
    for k, name in enumerate(("ant", "cat")):
        for n in range(1, 13):
            _save(tmp_path / "pets" / name / f"{n:02}.png", 20 * k + n)
    return tmp_path / "pets"


@pytest.fixture
def split_root(root):
    (root / "train").mkdir()
    for name in ("ant", "cat"):
        (root / name).rename(root / "train" / name)
    return root


def test_class_folders_alone_are_training_images(root, caplog):
    source = read_folder(str(root), 0)
    assert (source.class_names, source.validation, source.test) == (("ant", "cat"), None, None)
    assert _values(source.train) == {0: [*range(1, 13)], 1: [*range(21, 33)]}
    dataset = load_dataset(f"folder:{root}")
    assert [len(dataset.train), len(dataset.validation), len(dataset.test)] == [17, 2, 5]
    assert caplog.messages == []


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Train", "VALIDATION", "Test"),
                                   ("TRAIN", "valid", "test")])  # fmt: skip
def test_a_validation_folder_is_the_validation_split(split_root, names):
    (split_root / "train").rename(split_root / "x")
    (split_root / "x").rename(split_root / names[0])
    _save(split_root / names[1] / "cat" / "0.png", 100)
    _save(split_root / names[2] / "ant" / "0.png", 101)
    for seed in (0, 1):
        dataset = load_dataset(f"folder:{split_root}", seed=seed, validation_fraction=0.5)
        assert _values(dataset.train) == {0: [*range(1, 13)], 1: [*range(21, 33)]}
        assert (_values(dataset.validation), _values(dataset.test)) == ({1: [100]}, {0: [101]})


def test_without_a_test_folder_a_fifth_of_train_is_held_out_beside_validation(split_root):
    _save(split_root / "val" / "cat" / "0.png", 100)
    dataset = load_dataset(f"folder:{split_root}")
    assert [len(dataset.train), len(dataset.validation), len(dataset.test)] == [19, 1, 5]
    name, other = read_test_split(f"folder:{split_root}", None)
    assert name == "pets"
    np.testing.assert_array_equal(other.images, dataset.test.images)


def test_a_validation_image_of_a_class_that_train_lacks_is_bad(split_root):
    _save(split_root / "val" / "bee" / "0.png", 100)
    with pytest.raises(InputError, match=r"val/bee/0\.png \(train has no class bee\)"):
        read_folder(str(split_root), 0)
    with pytest.raises(InputError, match=r"pets/val: without its bad images .* holds none"):
        read_folder(str(split_root), 0, skip_bad_images=1)


def test_every_image_of_a_class_folder_is_taken(root, caplog):
    kinds = {"b": "BMP", "c.GIF": "GIF", "d.Png": "PNG", "e.jpeg": "WEBP", "f.txt": "PNG"}
    for k, (name, kind) in enumerate(kinds.items()):
        _save(root / "cat" / name, 100 + k, kind, lossless=True)
    _save(root / "cat" / "in" / "deep" / "x.PNG", 150)
    other = root.parent / "elsewhere"
    _save(other / "y.png", 151)
    (root / "cat" / "link").symlink_to(other)
    (root / "cat" / "up").symlink_to(root / "cat")
    found = _values(read_folder(str(root), 0).train)[1]
    assert sorted(found) == [*range(21, 33), *range(100, 105), 150, 151]
    assert caplog.messages == []


def test_other_files_are_counted_by_reason_in_one_warning(split_root, caplog):
    train = split_root / "train"
    (train / "ant" / "notes.txt").write_text("no image")
    _save(train / "ant" / "in" / "x.tiff", 100, "TIFF")
    os.mkfifo(train / "ant" / "fifo")
    _save(train / "cat" / ".x.png", 101)
    _save(train / "cat" / ".cache" / "a.png", 102)
    _save(train / "loose.png", 103)
    (train / "cat" / "empty.png").write_text("")
    _save(split_root / "unlabelled" / "a.png", 104)
    source = read_folder(str(split_root), 0, skip_bad_images=1)
    assert _values(source.train) == {0: [*range(1, 13)], 1: [*range(21, 33)]}
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("bridge_tf", logging.WARNING)
    assert record.message == (
        f"`dataset=folder:{split_root}`: 7 of 31 files left out: 1 bad by `skip_bad_images` "
        "(train/cat/empty.png), 2 hidden (train/cat/.cache/a.png, …), 1 in no class folder "
        "(train/loose.png), 3 not PNG, JPEG, GIF, BMP or WEBP (train/ant/fifo, …); folders beside "
        "train: unlabelled"
    )


def test_unused_folders_are_named(split_root, caplog):
    (split_root / "more").mkdir()
    read_folder(str(split_root), 0)
    assert caplog.messages == [
        f"`dataset=folder:{split_root}`: left out: folders beside train: more"
    ]


@pytest.mark.parametrize(("exif", "rows"), [("apply", [9, 5]), ("ignore", [5, 9])])
def test_exif_data_turns_images_unless_ignored(root, exif, rows):
    turned = Image.Exif()
    turned[0x0112] = 3
    stored = Image.fromarray(np.array([[5], [9]], "uint8").repeat(2, axis=1))
    stored.save(root / "ant" / "00.png", exif=turned)
    images = read_folder(str(root), 0, exif=exif).train.images
    assert images[0, :, 0, 0].tolist() == rows
    dataset = load_dataset(f"folder:{root}", exif=exif)
    splits = (dataset.train, dataset.validation, dataset.test)
    assert any(image[:, 0, 0].tolist() == rows for split in splits for image in split.images)


def _move(root, *names):
    """Puts the classes below a folder, and the images below others."""
    for name in ("ant", "cat"):
        target = root.joinpath(*names[:1], name, *names[1:])
        (root / name).rename(root / f"{name}.old")
        target.parent.mkdir(parents=True, exist_ok=True)
        (root / f"{name}.old").rename(target)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda root: (root / "test").mkdir(), "has no folder train, but test; it must hold train"),
        (lambda root: _move(root, "Training"), "has no folder train, but Training; it must hold"),
        (lambda root: _move(root, "images"), "has no folder train, and images alone; it must hold"),
        (lambda root: _save(root / "cat" / "train" / "x" / "0.png", 100),
         r"has no folder train, but cat has; name .*pets/cat$"),
        (lambda root: [(root / name).mkdir() for name in ("train", "val", "validation")],
         "holds both val and validation; it must hold one folder for validation"),
        (lambda root: _save(root / "dog" / "0.tiff", 100, "TIFF"),
         r"pets/dog: holds no images \(none of its 1 files is one\); each class folder needs"),
        (lambda root: (root / "d\nog").mkdir(), r"d\\nog': holds no images \(it is empty\)"),
    ],
)  # fmt: skip
def test_other_layouts_are_refused_in_one_line(root, spoil, words):
    spoil(root)
    with pytest.raises(InputError, match=words) as error:
        load_dataset(f"folder:{root}")
    assert str(error.value).startswith(f"`dataset=folder:{root}`: ")
    assert "\n" not in str(error.value)


def test_a_folder_without_its_kind_is_told_the_kind(root):
    with pytest.raises(InputError, match=rf"^`dataset={root}`: is a folder; name it as folder:"):
        load_dataset(str(root))
    with pytest.raises(InputError, match=r"`exif=turn`: must be one of apply, ignore"):
        load_dataset(f"folder:{root}", exif="turn")
