"""Files of data of any content: images and labels as documented, or what is wrong."""

import io
import pathlib
import tempfile

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as some
from PIL import Image

from bridge_tf.data.image_io import read_image
from bridge_tf.data.load import load_dataset
from bridge_tf.data.readers.npz import read_npz
from bridge_tf.utils.errors import InputError
from tests.fuzz.examples import search, spoilt

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 5, 4)).astype("uint8")


def check_split(split, classes: int) -> None:
    images, labels = split.images, split.labels
    assert images.ndim == 4 and len(images) == len(labels) == len(split) > 0
    assert images.dtype in (np.uint8, np.float32)
    assert np.isfinite(images).all() and images.min() >= 0 and images.max() <= 255
    assert labels.dtype == np.int32 and labels.ndim == 1
    assert labels.min() >= 0 and labels.max() < classes


def check_dataset(spec: str, **options) -> bool:
    """Whether a data set is read, which must then be as documented."""
    try:
        dataset = load_dataset(spec, **options)
    except InputError as error:
        assert "\n" not in str(error).strip()
        return False
    assert dataset.num_classes >= 2
    for split in (dataset.train, dataset.validation, dataset.test):
        check_split(split, dataset.num_classes)
        assert split.images.shape[1:] == dataset.image_shape
    return True


def npz(**arrays) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def written(content: bytes, name: str, folder: str) -> pathlib.Path:
    path = pathlib.Path(folder, name)
    path.write_bytes(content)
    return path


GOOD = {
    "x_train": np.random.default_rng(0).integers(0, 256, (24, 3, 3, 1)).astype("uint8"),
    "y_train": np.arange(24) % 3,
    "x_test": np.random.default_rng(1).integers(0, 256, (9, 3, 3, 1)).astype("uint8"),
    "y_test": np.arange(9) % 3,
}


def test_what_is_right_is_read():
    """Else none of the searches below would show anything."""
    with tempfile.TemporaryDirectory() as folder:
        assert check_dataset(f"npz:{written(npz(**GOOD), 'data.npz', folder)}")
        root = pathlib.Path(folder, "images")
        for name in ("cat", "dog"):
            (root / "train" / name).mkdir(parents=True)
            for k in range(10):
                encoded = image_bytes("L", "PNG", seed=k + 10 * (name == "dog"))
                (root / "train" / name / f"{k}.png").write_bytes(encoded)
        assert check_dataset(f"folder:{root}")


@search(100)
@given(spoilt(npz(**GOOD)))
@example(b"")
@example(b"PK\x05\x06" + bytes(18))
def test_any_bytes_of_npz(content):
    with tempfile.TemporaryDirectory() as folder:
        check_dataset(f"npz:{written(content, 'data.npz', folder)}")


ARRAYS = some.arrays(
    st.one_of(
        some.integer_dtypes(),
        some.unsigned_integer_dtypes(),
        some.floating_dtypes(),
        some.boolean_dtypes(),
        some.complex_number_dtypes(),
        some.unicode_string_dtypes(max_len=3),
        some.datetime64_dtypes(),
    ),
    some.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=3),
)


@search(100)
@given(st.dictionaries(st.sampled_from([*GOOD, "other"]), ARRAYS, min_size=1, max_size=3))
@example({"y_train": np.array([], "int32"), "x_train": np.zeros((0, 3, 3, 1), "uint8")})
@example({"y_test": np.array([], "int32"), "x_test": np.zeros((0, 3, 3, 1), "uint8")})
@example({"y_train": np.full(24, 2**31 - 1)})
@example({"y_train": np.full(24, 2**63, "uint64")})
def test_any_arrays_in_npz(arrays):
    content = npz(**{**GOOD, **arrays})
    with tempfile.TemporaryDirectory() as folder:
        path = written(content, "data.npz", folder)
        check_dataset(f"npz:{path}")
        try:
            source = read_npz(str(path))
        except InputError:
            return
        for split in (source.train, source.test):
            check_split(split, len(source.class_names))


def image_bytes(mode: str, form: str, seed: int = 0) -> bytes:
    file = io.BytesIO()
    image = Image.fromarray(np.roll(PIXELS, seed).copy(), "RGBA").convert(mode)
    image.save(file, form)
    return file.getvalue()


GOOD_IMAGES = [
    *(image_bytes(mode, "PNG") for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")),
    *(image_bytes(mode, "JPEG") for mode in ("L", "RGB", "CMYK")),
    *(image_bytes("RGB", form) for form in ("GIF", "BMP", "WEBP")),
]
# Of no format that is read.
TIFF = image_bytes("RGB", "TIFF")


@search(200)
@given(
    st.sampled_from([*GOOD_IMAGES, TIFF]).flatmap(spoilt) | st.binary(max_size=100),
    st.sampled_from([1, 3]),
    st.sampled_from([None, (4, 4), (1, 7)]),
)
def test_any_bytes_of_an_image(content, channels, size):
    with tempfile.TemporaryDirectory() as folder:
        path = written(content, "image.png", folder)
        try:
            pixels = read_image(path, channels=channels, size=size)
        except InputError as error:
            assert str(path) in str(error)
            return
        assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == channels
        assert size is None or pixels.shape[:2] == size


@pytest.mark.parametrize("content", GOOD_IMAGES)
def test_every_kind_of_image_is_read(content, tmp_path):
    path = written(content, "image.png", tmp_path)
    for channels in (1, 3):
        assert read_image(path, channels=channels).shape == (6, 5, channels)


NAMES = st.sampled_from(["train", "test", "cat", "dog", "a.png", "b.JPG", "c.txt", ".hidden", "ü"])
FILES = (
    st.sampled_from([*GOOD_IMAGES, TIFF])
    | st.binary(max_size=10)
    | st.just("link")
    | st.just("folder")
)


@search(50)
@given(
    st.dictionaries(
        st.tuples(st.sampled_from(["train", "test", "val"]), NAMES, NAMES), FILES, max_size=12
    ),
    st.integers(0, 40),
    st.sampled_from([0, 1, 5]),
)
@example({("train", "cat", "a.png"): "folder"}, 40, 0)
@example({("train", "cat", "a.png"): "link"}, 40, 0)
@example({("train", "cat", "a.png"): "link", ("train", "dog", "b.JPG"): b""}, 40, 5)
def test_any_folder(files, good, skipped):
    """Some good images in two classes, and anything beside them."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder, "images")
        root.mkdir()
        for k in range(good):
            place = root / "train" / ("cat", "dog")[k % 2] / f"{k}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(image_bytes("L", "PNG", seed=k))
        for path, content in files.items():
            put(root.joinpath(*path), content)
        check_dataset(f"folder:{root}", image_size=0)
        check_dataset(f"folder:{root}", image_size=3, skip_bad_images=skipped)


def put(path: pathlib.Path, content) -> None:
    """Writes a file, a folder, or a link to nowhere, unless something has the place."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if content == "link":
            path.symlink_to(path.name)
        elif content == "folder":
            path.mkdir()
        else:
            path.write_bytes(content)
    except OSError:
        pass


@search(50)
@given(st.text(max_size=20) | st.sampled_from(["npz:\0", "folder:\0", "npz:/", "folder:/dev/null"]))
def test_any_spec(spec):
    assert spec == "digits" or not check_dataset(spec)


@pytest.mark.parametrize("kind", ["npz", "folder"])
@pytest.mark.parametrize("path", ["\0", "x" * 300], ids=["zero", "long"])
def test_paths_that_no_file_can_have(kind, path):
    assert not check_dataset(f"{kind}:{path}")
