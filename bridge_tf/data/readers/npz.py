"""Arrays in one .npz file."""

import os
import pathlib

import numpy as np

from bridge_tf.data.dataset import Source, Split
from bridge_tf.utils.errors import InputError, reason

_ARRAYS = ("x_train", "y_train", "x_test", "y_test")


def read_npz(path: str) -> Source:
    """Reads x_train, y_train, x_test and y_test.

    Images are uint8 or float, N×H×W×C or N×H×W (grey). Float images with a maximum of at most 1 are
    multiplied by 255; others are taken as 0…255. Labels are integers 0…classes-1.

    Raises:
        InputError: the file or an array in it is invalid.
    """
    file = pathlib.Path(path)
    # Unlike Path.is_file, os.path.isfile accepts names that no file can have.
    if not os.path.isfile(file):
        raise InputError(f"`dataset=npz:{path}`: no such file; name a .npz file")
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in _ARRAYS if name in archive}
    except (
        Exception
    ) as error:  # damaged files raise many kinds of errors, even EOFError and zlib.error
        raise InputError(
            f"{path}: can't be read as .npz ({reason(error)}); save it with numpy.savez"
        ) from error
    missing = [name for name in _ARRAYS if name not in arrays]
    if missing:
        raise InputError(f"{path}: has no {', '.join(missing)}; it must hold {', '.join(_ARRAYS)}")
    splits = {
        part: Split(
            _images(path, f"x_{part}", arrays[f"x_{part}"]),
            _labels(path, f"y_{part}", arrays[f"y_{part}"]),
        )
        for part in ("train", "test")
    }
    return Source(file.stem, _class_names(path, splits), splits["train"], splits["test"])


def _images(path: str, name: str, images: np.ndarray) -> np.ndarray:
    if images.ndim == 3:
        images = images[..., np.newaxis]
    is_float = np.issubdtype(images.dtype, np.floating)
    if images.ndim != 4 or not images.size or not (is_float or images.dtype == np.uint8):
        raise InputError(
            f"{path}: {name} must be uint8 or float images N×H×W×C, not "
            f"{images.dtype}{list(images.shape)}"
        )
    if not is_float:
        return images
    if not np.isfinite(images).all():
        raise InputError(f"{path}: {name} holds values that are not finite; use 0…255 or 0…1")
    if images.min() < 0 or images.max() > 255:
        raise InputError(
            f"{path}: {name} must lie in 0…255 or 0…1, not {images.min():g}…{images.max():g}"
        )
    # Convert first: half precision would round the product.
    return images.astype("float32") * np.float32(255 if images.max() <= 1 else 1)


def _labels(path: str, name: str, labels: np.ndarray) -> np.ndarray:
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            f"{path}: {name} must be whole numbers, one an image, not "
            f"{labels.dtype}{list(labels.shape)}"
        )
    # Check before the cast, in which large labels would overflow.
    bad = labels[(labels < 0) | (labels > np.iinfo("int32").max)]
    if bad.size:
        raise InputError(f"{path}: {name} holds the label {bad[0]}; labels must be 0…classes-1")
    return labels.astype("int32")


def _class_names(path: str, splits: dict[str, Split]) -> tuple[str, ...]:
    for part, split in splits.items():
        if len(split.images) != len(split.labels):
            raise InputError(
                f"{path}: x_{part} has {len(split.images)} images but y_{part} "
                f"{len(split.labels)} labels; there must be one an image"
            )
    train, test = splits["train"], splits["test"]
    if train.images.shape[1:] != test.images.shape[1:]:
        raise InputError(
            f"{path}: images of x_train are {list(train.images.shape[1:])} and of x_test "
            f"{list(test.images.shape[1:])}; they must be alike"
        )
    classes = int(train.labels.max()) + 1
    highest = int(test.labels.max())
    if highest >= classes:
        raise InputError(
            f"{path}: y_test holds the label {highest}; labels must lie in 0…{classes - 1}, the "
            "classes of y_train"
        )
    present = np.unique(train.labels)
    if len(present) < classes:
        absent = np.flatnonzero(present != np.arange(len(present)))[0]
        raise InputError(
            f"{path}: y_train has no image of class {absent}; labels must be 0…{classes - 1} "
            "without gaps"
        )
    return tuple(str(k) for k in range(classes))
