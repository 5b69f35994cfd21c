"""Test images of another data set, converted for the run's networks."""

import numpy as np

from bridge_tf.data.load import read_test_split
from bridge_tf.utils.errors import InputError

# Weights of red, green and blue in a grey pixel, ITU-R BT.601, as in Pillow.
_LUMA = np.array([0.299, 0.587, 0.114])
_BATCH = 1000


def load_other_images(
    spec: str,
    data_dir: str | None,
    image_shape: tuple[int, int, int],
    *,
    skip_bad_images: int = 0,
    max_images: int = 0,
    exif: str = "apply",
) -> tuple[str, np.ndarray]:
    """The name and the test images of a data set, converted to `image_shape` (H, W, C).

    If the source has no test images, they are the fifth that a run on it would hold out. RGB
    becomes grey with the weights of ITU-R BT.601; grey is repeated to RGB. Images of another size
    are resized bilinearly, with antialiasing; the aspect ratio isn't kept.

    At most `max_images` are taken, spread evenly; 0: all. `exif` is that of `load_dataset`. The
    images are N×H×W×C, raw pixels 0…255.

    Raises:
        InputError: the data can't be used, or the channels differ and the conversion isn't one of
            grey and RGB; the message names `ood_dataset` or the file.
    """
    height, width, channels = image_shape
    square = height if height == width else 0
    try:
        name, split = read_test_split(spec, data_dir, square, skip_bad_images, exif)
    except InputError as error:
        # `skip_bad_images` is a setting of the run's own data.
        message = str(error).partition(", or leave them out by ")[0]
        raise InputError(message.replace("`dataset=", "`ood_dataset=")) from error
    if 0 < max_images < len(split):
        split = split.take(np.arange(max_images) * len(split) // max_images)
    found = split.images.shape[3]
    if found != channels and {found, channels} != {1, 3}:
        raise InputError(
            f"`ood_dataset={spec}`: its images have {found} channels, those of `dataset` "
            f"{channels}; name images of as many, or grey ones for RGB, or the other way round"
        )
    images = np.empty((len(split), *image_shape), split.images.dtype)
    for start in range(0, len(split), _BATCH):
        batch = split.images[start : start + _BATCH]
        made = _sized(_coloured(batch, channels), (height, width))
        images[start : start + len(batch)] = np.rint(made) if images.dtype == np.uint8 else made
    return name, images


def _coloured(images: np.ndarray, channels: int) -> np.ndarray:
    """RGB as grey, N×H×W×1, or grey as RGB."""
    if images.shape[3] == channels or channels == 3:
        return images
    return (images @ _LUMA)[..., np.newaxis]


def _sized(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if images.shape[1:3] == size:
        return images
    from PIL import Image

    def resized(channel: np.ndarray) -> np.ndarray:
        image = Image.fromarray(np.ascontiguousarray(channel, "float32"))
        return np.asarray(image.resize(size[::-1], Image.Resampling.BILINEAR))

    made = np.array([[resized(image[..., k]) for k in range(image.shape[2])] for image in images])
    return np.moveaxis(made, 1, 3)
