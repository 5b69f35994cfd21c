"""Images in folders."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from bridge_tf.data import load_dataset
from bridge_tf.data.readers.folder import read_folder
from bridge_tf.utils.errors import InputError


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


def test_images_that_do_not_fit_into_memory_are_refused_at_the_first(root, monkeypatch):
    monkeypatch.setattr("bridge_tf.utils.memory.available_memory", lambda: 2 * 24 * 90)
    assert len(read_folder(str(root), 0).train) == 24
    with pytest.raises(InputError) as error:
        read_folder(str(root), 1000)
    assert str(error.value) == (
        f"`dataset=folder:{root}`: its 24 images of 1000×1000 pixels need 0.1 GB of memory, 0.0 GB "
        "are available; use a smaller `image_size` or fewer images"
    )


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


@pytest.mark.parametrize(
    ("spoil", "parts"),
    [
        (lambda root: (root / "train").rename(root / "other"), ["`dataset=", "no folder train"]),
        (lambda root: _empty(root / "train" / "bee"), ["train/bee: holds no images", "*.png"]),
        (lambda root: _empty(root / "test"), ["test: holds no class folders"]),
        (lambda root: (root / "train" / "ant").rename(root / "train" / ".ant"),
         ["`dataset=folder:", "one class only"]),
        (lambda root: [f.unlink() for f in (root / "train" / "ant").glob("0[1-9]*")]
         + [f.unlink() for f in (root / "train" / "ant").glob("1*")],
         ["`dataset=folder:", "too few images to hold out 0.2 of 13"]),
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


def _bomb(path):
    """A PNG whose header claims 40,000×40,000 pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    content = path.read_bytes()
    path.write_bytes(content[:12] + header + struct.pack(">I", zlib.crc32(header)) + content[33:])


def _jpeg(path, cut):
    Image.fromarray(_image(70, (64, 64, 3))).save(path, "JPEG")
    path.write_bytes(path.read_bytes()[:-cut])


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-40]), "image file is truncated"),
        (lambda path: path.write_bytes(path.read_bytes()[:20]), ""),
        (lambda path: _jpeg(path, 900), "image file is truncated"),
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: path.write_text("no image at all"), "no image"),
        (_bomb, "more than 178,956,970 pixels"),
        (lambda path: (path.unlink(), path.mkdir()), "Is a directory"),
        (lambda path: (path.unlink(), path.symlink_to("nowhere")), "no such file"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_or_left_out(root, spoil, why):
    spoil(root / "train" / "cat" / "03.png")
    with pytest.raises(InputError) as error:
        load_dataset(f"folder:{root}")
    message = str(error.value)
    assert f": bad images, 1 of 24: {root}/train/cat/03.png ({why}" in message
    assert message.endswith("; mend or remove them, or leave them out by `skip_bad_images=1`")
    assert "\n" not in message
    source = read_folder(str(root), 0, skip_bad_images=1)
    np.testing.assert_array_equal(source.train.images[14:16], [_image(2), _image(4)])
    assert len(source.train) == 23
    assert source.skipped == ("train/cat/03.png",)


def _spoil(root, name, numbers):
    for n in numbers:
        (root / "train" / name / f"{n:02}.png").write_bytes(b"")


def test_all_bad_images_are_found_in_one_pass(root):
    _spoil(root, "ant", range(8))
    (root / "train" / "cat" / "00.png").write_text("text")
    # A copy of ant's 09.
    _save(root / "train" / "cat" / "01.png", _image(12 + 9))
    _save(root / "test" / "ant" / "a.png", _image(100))
    _save(root / "test" / "bee" / "b.png", _image(101))
    (root / "test" / "bee" / "c.png").write_text("")
    with pytest.raises(InputError) as error:
        read_folder(str(root), 0)
    empty = ", ".join(f"{root}/train/ant/{n:02}.png (empty)" for n in range(8))
    assert str(error.value) == (
        f"`dataset=folder:{root}`: bad images, 13 of 27: {empty}, "
        f"{root}/train/ant/09.png (the same picture as {root}/train/cat/01.png), "
        f"{root}/train/cat/00.png (no image), "
        "and 3 more; mend or remove them, or leave them out by `skip_bad_images=13`"
    )
    with pytest.raises(InputError, match=r"13 of 27, more than `skip_bad_images=12`: .*ges=13`$"):
        read_folder(str(root), 0, skip_bad_images=12)
    source = read_folder(str(root), 0, skip_bad_images=13)
    assert [len(source.train), len(source.test)] == [13, 1]
    assert source.skipped[8:] == (
        "train/ant/09.png",
        "train/cat/00.png",
        "train/cat/01.png",
        "test/bee/b.png",
        "test/bee/c.png",
    )


def test_a_class_that_train_does_not_have_is_mislabelled(root):
    _save(root / "test" / "cat" / "0.png", _image(100))
    _save(root / "test" / "bee" / "0.png", _image(101))
    with pytest.raises(InputError, match=r"test/bee/0\.png \(train has no class bee\)"):
        load_dataset(f"folder:{root}")
    dataset = load_dataset(f"folder:{root}", skip_bad_images=1)
    assert dataset.class_names == ("ant", "cat")
    np.testing.assert_array_equal(dataset.test.images, [_image(100)])
    assert dataset.faults.skipped == ("test/bee/0.png",)
    assert dataset.faults.classes_without_test == ("ant",)


def test_all_copies_of_a_picture_under_two_classes_are_bad_in_either_split(root):
    _save(root / "train" / "cat" / "copy.png", _image(0))
    _save(root / "test" / "ant" / "a.png", _image(0))
    _save(root / "test" / "ant" / "b.png", _image(100))
    with pytest.raises(InputError) as error:
        read_folder(str(root), 0)
    assert (
        "bad images, 3 of 27: "
        f"{root}/train/cat/00.png (the same picture as {root}/test/ant/a.png), "
        f"{root}/train/cat/copy.png (the same picture as {root}/test/ant/a.png), "
        f"{root}/test/ant/a.png (the same picture as {root}/train/cat/00.png); mend"
    ) in str(error.value)
    source = read_folder(str(root), 0, skip_bad_images=3)
    np.testing.assert_array_equal(source.test.images, [_image(100)])
    np.testing.assert_array_equal(source.train.images[12], _image(1))
    assert len(source.train) == 23


def test_copies_under_one_class_are_no_contradiction(root):
    _save(root / "train" / "cat" / "copy.png", _image(0))
    _save(root / "test" / "cat" / "a.png", _image(0))
    source = read_folder(str(root), 0)
    assert (len(source.train), source.skipped) == (25, ())


def test_the_picture_counts_not_its_file_nor_what_resizing_makes_of_it(tmp_path):
    for n in range(4):
        _save(tmp_path / "train" / "ab"[n % 2] / f"{n}.png", _image(n, (4, 4, 3)))
    grey = _image(9, (4, 4))
    _save(tmp_path / "train" / "a" / "grey.png", grey)
    _save(tmp_path / "train" / "b" / "colour.png", grey[..., None].repeat(3, 2))
    flat = np.full((4, 4), 77, "uint8")
    _save(tmp_path / "train" / "a" / "flat.png", flat)
    _save(tmp_path / "train" / "b" / "flat.png", flat[:2])
    with pytest.raises(InputError) as error:
        read_folder(str(tmp_path), 0)
    assert (
        "bad images, 2 of 8: "
        f"{tmp_path}/train/a/grey.png (the same picture as {tmp_path}/train/b/colour.png), "
        f"{tmp_path}/train/b/colour.png (the same picture as {tmp_path}/train/a/grey.png); mend"
    ) in str(error.value)


def test_images_are_grey_if_all_that_stay_are(tmp_path):
    for n in range(4):
        _save(tmp_path / "train" / "ab"[n % 2] / f"{n}.png", _image(n, (4, 4)))
    _save(tmp_path / "train" / "a" / "0.png", _image(5, (4, 4, 3)))
    _save(tmp_path / "train" / "b" / "0.png", _image(5, (4, 4, 3)))
    assert read_folder(str(tmp_path), 0, skip_bad_images=2).train.images.shape == (3, 4, 4, 1)


def test_a_class_without_images_once_the_bad_ones_are_left_out_is_named(root):
    _spoil(root, "ant", range(12))
    with pytest.raises(InputError, match=r"bad images, 12 of 24: .*; mend or remove them$"):
        read_folder(str(root), 0)
    with pytest.raises(InputError, match=r"train/ant: without its bad images .* has none"):
        read_folder(str(root), 0, skip_bad_images=12)


def test_a_test_folder_without_images_once_the_bad_ones_are_left_out_is_named(root):
    _save(root / "test" / "bee" / "0.png", _image(100))
    with pytest.raises(InputError, match=r"test: without its bad images .* holds none"):
        read_folder(str(root), 0, skip_bad_images=1)


def test_odd_names_stay_on_one_line(root):
    (root / "train" / "cat" / "a\nb.png").write_text("")
    with pytest.raises(InputError) as error:
        read_folder(str(root), 0)
    assert r"train/cat/a\nb.png' (empty)" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InputError, match=r"`dataset=folder:.*nowhere`: no such folder"):
        load_dataset(f"folder:{tmp_path / 'nowhere'}")
