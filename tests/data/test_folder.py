"""Images in folders."""

import numpy as np
import pytest
from PIL import Image

from bridge_tf.data import load_dataset
from bridge_tf.data.folder import read_folder
from bridge_tf.errors import InputError


def _image(seed, shape=(6, 5, 3)):
    return np.random.default_rng(seed).integers(0, 256, shape, "uint8")


def _save(path, pixels, mode=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels, mode).save(path)


@pytest.fixture
def root(tmp_path):
    """Two classes with 12 training images of 6×5 each, without test images."""
    for k, name in enumerate(("cat", "ant")):
        for n in range(12):
            _save(tmp_path / "pets" / "train" / name / f"{n:02}.png", _image(12 * k + n))
    return tmp_path / "pets"


def test_images_and_labels_follow_the_sorted_folders(root):
    _save(root / "test" / "cat" / "a.png", _image(100))
    source = read_folder(str(root), 0)
    assert (source.name, source.class_names) == ("pets", ("ant", "cat"))
    np.testing.assert_array_equal(source.train.labels, [0] * 12 + [1] * 12)
    for row, seed in ((0, 12), (11, 23), (12, 0), (23, 11)):
        np.testing.assert_array_equal(source.train.images[row], _image(seed))
    np.testing.assert_array_equal(source.test.images, [_image(100)])
    np.testing.assert_array_equal(source.test.labels, [1])


def test_suffixes_of_any_case_count_and_other_files_do_not(root):
    (root / "train" / "ant" / "00.png").rename(root / "train" / "ant" / "00.PNG")
    _save(root / "train" / "ant" / "x.JPEG", _image(50))
    _save(root / "train" / "ant" / "y.Jpg", _image(51))
    (root / "train" / "ant" / "notes.txt").write_text("no image")
    assert len(read_folder(str(root), 0).train) == 26


def test_without_a_test_folder_a_fifth_is_held_out_for_every_seed(root):
    one, other = (load_dataset(f"folder:{root}", seed=seed) for seed in (1, 2))
    assert [len(one.train), len(one.validation), len(one.test)] == [17, 2, 5]
    np.testing.assert_array_equal(one.test.images, other.test.images)
    assert sorted(np.bincount(one.test.labels)) == [2, 3]
    parts = (one.train, one.validation, one.test)
    assert len({image.tobytes() for part in parts for image in part.images}) == 24


def test_the_name_of_the_working_directory(root, monkeypatch):
    monkeypatch.chdir(root)
    assert read_folder(".", 0).name == "pets"


def test_images_take_the_size_of_the_first_or_of_the_flag(root):
    large = _image(60, (12, 12, 3))
    _save(root / "train" / "cat" / "z.png", large)
    for image_size, size in ((0, (6, 5)), (7, (7, 7))):
        images = read_folder(str(root), image_size).train.images
        assert images.shape == (25, *size, 3)
        resized = Image.fromarray(large).resize(size[::-1], Image.Resampling.BILINEAR)
        np.testing.assert_array_equal(images[-1], np.asarray(resized))


def test_images_are_grey_only_if_all_are(tmp_path):
    for n in range(4):
        _save(tmp_path / "train" / "ab"[n % 2] / f"{n}.png", _image(n, (4, 4)))
    deep = (_image(9, (4, 4)).astype("uint16") << 8) + 255
    _save(tmp_path / "train" / "a" / "deep.png", deep)
    images = read_folder(str(tmp_path), 0).train.images
    assert images.shape == (5, 4, 4, 1)
    np.testing.assert_array_equal(images[0, ..., 0], _image(0, (4, 4)))
    np.testing.assert_array_equal(images[2, ..., 0], _image(9, (4, 4)))
    _save(tmp_path / "test" / "a" / "colour.png", _image(5, (4, 4, 3)))
    source = read_folder(str(tmp_path), 0)
    np.testing.assert_array_equal(source.train.images[0], _image(0, (4, 4))[..., None].repeat(3, 2))
    np.testing.assert_array_equal(source.test.images[0], _image(5, (4, 4, 3)))


def test_transparent_pixels_are_laid_on_black(root):
    pixels = np.full((6, 5, 4), 200, "uint8")
    pixels[..., 3] = [0, 51, 102, 204, 255]
    _save(root / "train" / "cat" / "z.png", pixels)
    found = read_folder(str(root), 0).train.images[-1]
    np.testing.assert_array_equal(found[0, :, 0], [0, 40, 80, 160, 200])


def _empty(path):
    path.mkdir(parents=True)


def _truncate(path):
    path.write_bytes(path.read_bytes()[:-40])


@pytest.mark.parametrize(
    ("spoil", "parts"),
    [
        (lambda root: (root / "train").rename(root / "other"), ["--dataset=", "no folder train"]),
        (lambda root: _empty(root / "train" / "bee"), ["train/bee: holds no images", "*.png"]),
        (lambda root: _empty(root / "test"), ["test: holds no class folders"]),
        (lambda root: _save(root / "test" / "bee" / "0.png", _image(0)),
         ["test/bee: a class that train doesn't have", "ant, cat"]),
        (lambda root: _truncate(root / "train" / "cat" / "03.png"),
         ["train/cat/03.png: can't be decoded"]),
        (lambda root: (root / "train" / "ant" / "05.png").write_bytes(b""),
         ["train/ant/05.png: can't be decoded"]),
        (lambda root: (root / "train" / "ant").rename(root / "train" / ".ant"),
         ["--dataset=folder:", "one class only"]),
        (lambda root: [f.unlink() for f in (root / "train" / "ant").glob("0[1-9]*")]
         + [f.unlink() for f in (root / "train" / "ant").glob("1*")],
         ["--dataset=folder:", "too few images to hold out 0.2 of 13"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(root, spoil, parts):
    spoil(root)
    with pytest.raises(InputError) as error:
        load_dataset(f"folder:{root}")
    message = str(error.value)
    assert "\n" not in message
    for part in [str(root), *parts]:
        assert part in message


def test_a_truncated_jpeg_is_refused(root):
    path = root / "train" / "cat" / "z.jpg"
    _save(path, _image(70, (64, 64, 3)))
    path.write_bytes(path.read_bytes()[:-900])
    with pytest.raises(InputError, match=r"z\.jpg: can't be decoded"):
        load_dataset(f"folder:{root}")


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match=r"--dataset=folder:.*nowhere: no such folder"):
        load_dataset(f"folder:{tmp_path / 'nowhere'}")
