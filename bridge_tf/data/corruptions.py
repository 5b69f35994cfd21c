"""Corrupted copies of test images: six kinds of corruption, each at five severities.

After Hendrycks and Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", ICLR 2019, but for images of any size. So figures can't be compared with those on
CIFAR-10-C or ImageNet-C. Contrast and brightness have the parameters of CIFAR-10-C.

| corruption | parameter | 1 | 2 | 3 | 4 | 5 |
| --- | --- | --- | --- | --- | --- | --- |
| noise | standard deviation, share of 255 | 0.04 | 0.08 | 0.12 | 0.18 | 0.26 |
| blur | standard deviation in pixels, at 32 | 0.5 | 0.75 | 1 | 1.5 | 2 |
| contrast | factor on the distance from the mean | 0.75 | 0.5 | 0.4 | 0.3 | 0.15 |
| brightness | added to the largest channel, share of 255 | 0.05 | 0.1 | 0.15 | 0.2 | 0.3 |
| jpeg | quality | 80 | 50 | 25 | 15 | 7 |
| pixelation | share of height and width that is kept | 0.75 | 0.6 | 0.5 | 0.4 | 0.25 |

The standard deviation of the blur is multiplied by the cube root of s / 32, where s is the shorter
side in pixels. A fixed number of pixels would erase small images; a fixed share would not change
them.
"""

import io
import zlib
from collections.abc import Callable, Sequence

import numpy as np

from bridge_tf.data.image_io import open_image

SEVERITIES = (1, 2, 3, 4, 5)
_BLUR_SIDE = 32
PARAMETERS = {
    "noise": (0.04, 0.08, 0.12, 0.18, 0.26),
    "blur": (0.5, 0.75, 1.0, 1.5, 2.0),
    "contrast": (0.75, 0.5, 0.4, 0.3, 0.15),
    "brightness": (0.05, 0.1, 0.15, 0.2, 0.3),
    "jpeg": (80, 50, 25, 15, 7),
    "pixelation": (0.75, 0.6, 0.5, 0.4, 0.25),
}


def corrupt(
    images: np.ndarray, kind: str, severity: int, indices: Sequence[int] | None = None
) -> np.ndarray:
    """Corrupted copies of images, N×H×W×C in 0…255, as uint8.

    Random draws depend only on the kind, the severity and the image's index.

    Args:
        kind: one of `PARAMETERS`.
        severity: 1 (weak) … 5 (strong).
        indices: N integers that identify the images; default: 0…N-1.

    Raises:
        ValueError: the kind or severity is unknown.
    """
    if kind not in PARAMETERS or severity not in SEVERITIES:
        raise ValueError(
            f"kind must be one of {', '.join(PARAMETERS)}, and severity one of {SEVERITIES}. "
            f"Received: kind={kind!r}, severity={severity!r}"
        )
    corrupted = np.empty(images.shape, "uint8")
    parameter = PARAMETERS[kind][severity - 1]
    for k, index in enumerate(range(len(images)) if indices is None else indices):
        seed = (zlib.crc32(kind.encode()), severity, int(index))
        made = _KINDS[kind](images[k], parameter, seed)
        corrupted[k] = _rounded(made)
    return corrupted


def _noise(image: np.ndarray, deviation: float, seed: tuple) -> np.ndarray:
    return image + 255 * deviation * np.random.default_rng(seed).standard_normal(image.shape)


def _blur(image: np.ndarray, deviation: float, seed: tuple) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    sigma = deviation * np.cbrt(min(image.shape[:2]) / _BLUR_SIDE)
    return gaussian_filter(image.astype("float64"), (sigma, sigma, 0), mode="nearest")


def _contrast(image: np.ndarray, factor: float, seed: tuple) -> np.ndarray:
    mean = image.mean(axis=(0, 1), dtype="float64")
    return mean + factor * (image - mean)


def _brightness(image: np.ndarray, more: float, seed: tuple) -> np.ndarray:
    """Raises the value in HSV: hue and saturation stay, black becomes grey."""
    value = image.max(axis=2, keepdims=True).astype("float64")
    raised = np.minimum(value + 255 * more, 255)
    return np.where(value > 0, image * (raised / np.maximum(value, 1e-9)), raised)


def _jpeg(image: np.ndarray, quality: int, seed: tuple) -> np.ndarray:
    from PIL import Image

    def coded(pixels: np.ndarray) -> np.ndarray:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=quality)
        return np.asarray(open_image(file, ["JPEG"]))

    pixels = _rounded(image)
    return coded(pixels) if pixels.shape[2] == 3 else _each_channel(coded, pixels)


def _pixelation(image: np.ndarray, share: float, seed: tuple) -> np.ndarray:
    from PIL import Image

    height, width = image.shape[:2]
    small = (max(1, round(share * width)), max(1, round(share * height)))

    def coarse(pixels: np.ndarray) -> np.ndarray:
        shrunk = Image.fromarray(pixels).resize(small, Image.Resampling.BOX)
        return np.asarray(shrunk.resize((width, height), Image.Resampling.NEAREST))

    return _each_channel(coarse, _rounded(image))


def _each_channel(function: Callable, pixels: np.ndarray) -> np.ndarray:
    channels = [function(np.ascontiguousarray(pixels[..., k])) for k in range(pixels.shape[2])]
    return np.stack(channels, axis=2)


def _rounded(image: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(image), 0, 255).astype("uint8")


_KINDS = {
    "noise": _noise,
    "blur": _blur,
    "contrast": _contrast,
    "brightness": _brightness,
    "jpeg": _jpeg,
    "pixelation": _pixelation,
}
