"""Reading and writing an image file."""

import io
import os
import warnings

import numpy as np

from bridge_tf.utils.errors import InputError, reason

_GREY = ("1", "L", "LA", "I", "I;16", "F")


class BadImageError(InputError):
    """An image file is unusable; `why` is the reason without the file's name."""

    def __init__(self, message: str, why: str):
        super().__init__(message)
        self.why = why


def read_image(
    path: str | os.PathLike, *, channels: int | None = None, size: tuple[int, int] | None = None
) -> np.ndarray:
    """Decodes an image file of any format of Pillow completely: H×W×channels, uint8.

    Args:
        channels: 1 for grey, 3 for RGB; None: as in the file. Transparent pixels become black.
        size: (height, width) to which the image is resized bilinearly; None: no resizing.

    Raises:
        BadImageError: the file is missing, truncated or not an image; the message names it.
    """
    try:
        pixels = _decode(path, channels)
    except FileNotFoundError as error:
        raise BadImageError(
            f"{path}: no such file; name a PNG or JPEG image", "no such file"
        ) from error
    except (
        Exception
    ) as error:  # damaged files raise many kinds of errors, even SyntaxError and struct.error
        why = _why(path, error)
        raise BadImageError(
            f"{path}: can't be decoded as an image ({why}); it must be a whole PNG or JPEG", why
        ) from error
    return pixels if size is None else resize(pixels, size)


def resize(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes uint8 pixels, H×W×1 or H×W×3, bilinearly to (height, width), if need be."""
    from PIL import Image

    height, width = size
    if pixels.shape[:2] == (height, width):
        return pixels
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    resized = image.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized).reshape(height, width, -1)


def to_png(pixels: np.ndarray, longest: int | None = None) -> bytes:
    """Encodes an image, H×W×C in 0…255, as PNG, shrunk to at most `longest` pixels a side.

    Unless C is 1 or 3, only the first channel is encoded.
    """
    from PIL import Image

    pixels = np.clip(np.round(pixels), 0, 255).astype("uint8")
    image = Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[..., 0])
    if longest:
        image.thumbnail((longest, longest))
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


def _decode(path, channels: int | None) -> np.ndarray:
    from PIL import Image

    with warnings.catch_warnings():
        # Pillow warns of images that it still decodes, for example large ones.
        warnings.simplefilter("ignore")
        opened = Image.open(path)
        opened.load()
    with opened:
        channels = channels or (1 if opened.mode in _GREY else 3)
        image = _eight_bits(opened)
        if image.mode in ("LA", "RGBA", "PA") or "transparency" in image.info:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image)
        image = image.convert("L" if channels == 1 else "RGB")
        return np.asarray(image, "uint8").reshape(image.size[1], image.size[0], channels)


def _eight_bits(image):
    """Scales 16-bit grey to 8 bits; Pillow would clip it."""
    if image.mode not in ("I", "I;16"):
        return image
    from PIL import Image

    return Image.fromarray((np.asarray(image) // 256).clip(0, 255).astype("uint8"))


def _why(path, error: Exception) -> str:
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return "no image" if os.path.getsize(path) else "empty"
    if isinstance(error, Image.DecompressionBombError):
        return f"more than {2 * Image.MAX_IMAGE_PIXELS:,} pixels"
    # With an errno, the error's text repeats the path.
    return getattr(error, "strerror", None) or reason(error)
