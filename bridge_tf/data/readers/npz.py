"""Arrays in one .npz file."""

import os
import pathlib

import numpy as np

from bridge_tf.data.dataset import Source, Split
from bridge_tf.utils.errors import InputError, reason
from bridge_tf.utils.terminal import logger

_ARRAYS = ("x_train", "y_train", "x_test", "y_test")
_OPTIONAL = ("x_val", "y_val")
_PARTS = ("train", "val", "test")
# Floats with a maximum below this are fractions of 255: interpolation may overshoot 1 a little.
_FRACTIONS = 2
# Of an image N×H×W×C; more channels in the last place may be columns of N×C×H×W.
_CHANNELS = (1, 3, 4)
_WHOLE = "save the classes' numbers: names, y = numpy.unique(y, return_inverse=True)"


def read_npz(path: str) -> Source:
    """Reads x_train, y_train, x_test and y_test, and x_val and y_val if they are there.

    Images are uint8 or float, N×H×W×C or N×H×W (grey). If all of them are float with a maximum of
    at most 1, they are multiplied by 255; else they are taken as 0…255. Labels are integers
    0…classes-1.

    Raises:
        InputError: the file or an array in it is invalid, the arrays are of several scales, or
            images are channels-first, N×C×H×W.
    """
    given, file = f"`dataset=npz:{path}`", pathlib.Path(path)
    # Unlike Path.is_file, os.path.isfile accepts names that no file can have.
    if not os.path.isfile(file):
        raise InputError(f"{given}: no such file; name a .npz file")
    arrays = _read(given, file)
    wanted = _ARRAYS + (_OPTIONAL if any(name in arrays for name in _OPTIONAL) else ())
    missing = [name for name in wanted if name not in arrays]
    if missing:
        raise InputError(f"{given}: has no {', '.join(missing)}; it must hold {', '.join(wanted)}")
    parts = [part for part in _PARTS if f"x_{part}" in arrays]
    images = {f"x_{part}": _images(given, f"x_{part}", arrays.pop(f"x_{part}")) for part in parts}
    images = _on_one_scale(given, images)
    splits = {
        part: Split(images[f"x_{part}"], _labels(given, f"y_{part}", arrays[f"y_{part}"]))
        for part in parts
    }
    names = _class_names(given, splits)
    return Source(file.stem, names, splits["train"], splits["test"], validation=splits.get("val"))


def _read(given: str, file: pathlib.Path) -> dict[str, np.ndarray]:
    arrays = {}
    try:
        with np.load(file, allow_pickle=False) as archive:
            for name in (*_ARRAYS, *_OPTIONAL):
                if name in archive:
                    arrays[name] = _array(given, name, archive)
    except InputError:
        raise
    except (
        Exception
    ) as error:  # damaged files raise many kinds of errors, even EOFError and zlib.error
        raise InputError(
            f"{given}: can't be read as .npz ({reason(error)}); save it with numpy.savez"
        ) from error
    return arrays


def _array(given: str, name: str, archive) -> np.ndarray:
    """An array of the archive; an InputError with its name if it is one of Python objects."""
    try:
        return archive[name]
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        right = _WHOLE if name.startswith("y_") else "save images as uint8 of one size"
        raise InputError(
            f"{given}: {name} can't be read: it holds Python objects, such as strings or arrays of "
            f"several sizes, which allow_pickle=False excludes; {right}"
        ) from error


def _images(given: str, name: str, images: np.ndarray) -> np.ndarray:
    """The images as they are, N×H×W×C in C order, after checks of each array by itself."""
    if images.ndim == 3:
        images = images[..., np.newaxis]
    is_float = np.issubdtype(images.dtype, np.floating)
    if images.ndim != 4 or not images.size or not (is_float or images.dtype == np.uint8):
        raise InputError(
            f"{given}: {name} must be uint8 or float images N×H×W×C, not "
            f"{images.dtype}{list(images.shape)}"
        )
    _, first, second, last = images.shape
    if first in _CHANNELS and min(second, last) > max(_CHANNELS):
        raise InputError(
            f"{given}: {name} must be images N×H×W×C; {list(images.shape)} looks like "
            f"channels-first, N×C×H×W; save numpy.moveaxis({name}, 1, -1)"
        )
    images = np.ascontiguousarray(images)
    if not is_float:
        return images
    low, high = images.min(), images.max()  # NaN if any is
    if not np.isfinite([low, high]).all():
        raise InputError(f"{given}: {name} holds values that are not finite; use 0…255 or 0…1")
    if low < 0 or high > 255:
        raise InputError(f"{given}: {name} must lie in 0…255 or 0…1, not {low:g}…{high:g}")
    return images


def _on_one_scale(given: str, images: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The images in 0…255, by one factor for all arrays: 255 if all are float and at most 1.

    Empties `images`, so that arrays that are converted aren't held twice.
    """
    highest = {name: array.max() for name, array in images.items()}
    coloured = [name for name, value in highest.items() if value > 0]  # black has any scale
    whole = [name for name in coloured if images[name].dtype == np.uint8]
    fractions = [name for name in coloured if name not in whole and highest[name] < _FRACTIONS]
    others = [name for name in coloured if name not in fractions]
    if fractions and (whole or (others and "x_train" in fractions)):
        raise InputError(
            f"{given}: {fractions[0]} is {images[fractions[0]].dtype} up to "
            f"{highest[fractions[0]]:g}, but {others[0]} is {images[others[0]].dtype} up to "
            f"{highest[others[0]]:g}; all images must be of one scale, 0…255 or floats in 0…1"
        )
    if fractions and not others:
        top = max(fractions, key=highest.get)
        if highest[top] > 1:
            raise InputError(
                f"{given}: {top} goes up to {highest[top]:g}, which is neither 0…255 nor 0…1; clip "
                "the images to 0…1, or multiply them by 255"
            )
    elif fractions:
        logger.warning(
            f"{given}: {', '.join(fractions)} has a maximum of at most "
            f"{max(highest[name] for name in fractions):g}, but is taken as 0…255, the scale of "
            f"{others[0]}"
        )
    factor = np.float32(1 if others else 255)
    return {name: _scaled(images.pop(name), factor) for name in [*images]}


def _scaled(images: np.ndarray, factor: np.float32) -> np.ndarray:
    """Images times the factor, in their own memory if they are float32; uint8 as they are."""
    if images.dtype == np.uint8:
        return images
    # Convert first: half precision would round the product.
    images = images.astype("float32", copy=False)
    images *= factor
    return images


def _labels(given: str, name: str, labels: np.ndarray) -> np.ndarray:
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(
            f"{given}: {name} must be whole numbers, one an image, not "
            f"{_described(labels)}; {_remedy(labels)}"
        )
    # Check before the cast, in which large labels would overflow.
    bad = labels[(labels < 0) | (labels > np.iinfo("int32").max)]
    if bad.size:
        raise InputError(f"{given}: {name} holds the label {bad[0]}; labels must be 0…classes-1")
    return labels.astype("int32")


def _described(labels: np.ndarray) -> str:
    kind = "strings" if labels.dtype.kind in "US" else labels.dtype
    return f"{kind}{list(labels.shape)}"


def _remedy(labels: np.ndarray) -> str:
    """What is right for labels of another kind."""
    if labels.ndim == 1 and labels.dtype.kind in "US":
        return _WHOLE
    if labels.ndim == 1 and labels.dtype.kind in "bf":
        return "save them as integers, by .astype(int)"
    numbers = labels.ndim == 2 and labels.dtype.kind in "biuf"
    if numbers and labels.size and ((labels != 0).sum(1) == 1).all() and (labels.max(1) == 1).all():
        return "these are one-hot: save .argmax(1)"
    return "0…classes-1, one class an image"


def _class_names(given: str, splits: dict[str, Split]) -> tuple[str, ...]:
    for part, split in splits.items():
        if len(split.images) != len(split.labels):
            raise InputError(
                f"{given}: x_{part} has {len(split.images)} images but y_{part} "
                f"{len(split.labels)} labels; there must be one an image"
            )
    train = splits["train"]
    classes = int(train.labels.max()) + 1
    for part, split in splits.items():
        if train.images.shape[1:] != split.images.shape[1:]:
            raise InputError(
                f"{given}: images of x_train are {list(train.images.shape[1:])} and of x_{part} "
                f"{list(split.images.shape[1:])}; they must be alike"
            )
        highest = int(split.labels.max())
        if highest >= classes:
            raise InputError(
                f"{given}: y_{part} holds the label {highest}; labels must lie in "
                f"0…{classes - 1}, the classes of y_train"
            )
    present = np.unique(train.labels)
    if len(present) < classes:
        absent = np.flatnonzero(present != np.arange(len(present)))[0]
        raise InputError(
            f"{given}: y_train has no image of class {absent}; labels must be 0…{classes - 1} "
            "without gaps"
        )
    return tuple(str(k) for k in range(classes))
