"""Reading and writing an image file."""

import io
import os
import stat
import warnings
from collections.abc import Sequence

import numpy as np

from bridge_tf.utils.errors import InputError, reason

EXIF = ("apply", "ignore")
# Pillow knows many more, and starts Ghostscript for one of them.
FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP")
KINDS = "PNG, JPEG, GIF, BMP or WEBP"
_GREY = ("1", "L", "LA", "I", "I;16", "F")
_SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")
_BMP_HEADERS = (12, 16, 40, 52, 56, 64, 108, 124)  # their lengths, in bytes
# How to bring an image upright, by the tag of its orientation (EXIF 2.32, section 4.6.4).
_ORIENTATION = 0x0112
_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


class BadImageError(InputError):
    """An image file is unusable; `why` is the reason without the file's name."""

    def __init__(self, message: str, why: str):
        super().__init__(message)
        self.why = why


def open_image(file, formats: Sequence[str] = FORMATS):
    """Opens an image, a path or a binary file, as a `PIL.Image.Image` of one of the formats."""
    from PIL import Image

    return Image.open(file, formats=formats)


def has_image_content(path: str | os.PathLike) -> bool:
    """Whether a file begins as a PNG, JPEG, GIF, BMP or WEBP image does."""
    with open(path, "rb") as file:
        head = file.read(18)
    is_bmp = head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADERS
    is_webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    return head.startswith(_SIGNATURES) or is_bmp or is_webp


def read_image(
    path: str | os.PathLike,
    *,
    channels: int | None = None,
    size: tuple[int, int] | None = None,
    exif: str = "apply",
) -> np.ndarray:
    """Decodes a PNG, JPEG, GIF, BMP or WEBP file completely: H×W×channels, uint8.

    The content tells the format, whatever the file's ending. Of several frames the first is read.

    Args:
        channels: 1 for grey, 3 for RGB; None: as in the file. Transparent pixels become black.
        size: (height, width) to which the image is resized bilinearly; None: no resizing.
        exif: "apply": the image is turned upright as its EXIF data says; "ignore": it is taken as
            it is stored.

    Raises:
        BadImageError: the file is missing, truncated or not an image; the message names it.
    """
    try:
        pixels = _decode(path, channels, exif)
    except FileNotFoundError as error:
        raise BadImageError(
            f"{path}: no such file; name a {KINDS} image", "no such file"
        ) from error
    except (
        Exception
    ) as error:  # damaged files raise many kinds of errors, even SyntaxError and struct.error
        why = _why(path, error)
        raise BadImageError(
            f"{path}: can't be decoded as an image ({why}); it must be a whole {KINDS}", why
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


def _decode(path, channels: int | None, exif: str) -> np.ndarray:
    from PIL import Image

    mode = os.stat(path).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise OSError("no regular file")  # opening a FIFO would wait
    with warnings.catch_warnings():
        # Pillow warns of images that it still decodes, and of damaged EXIF data.
        warnings.simplefilter("ignore")
        opened = open_image(path)
        opened.load()
        upright = _upright(opened) if exif == "apply" else opened
    with opened:
        channels = channels or (1 if opened.mode in _GREY else 3)
        image = _eight_bits(upright)
        if image.mode in ("LA", "RGBA", "PA") or "transparency" in image.info:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image)
        image = image.convert("L" if channels == 1 else "RGB")
        return np.asarray(image, "uint8").reshape(image.size[1], image.size[0], channels)


def _upright(image):
    """The image, turned as its EXIF data says."""
    from PIL import Image

    try:
        turn = _TURNS.get(image.getexif().get(_ORIENTATION))
    except Exception:  # damaged EXIF data, of an image that is whole, raise many kinds of errors
        return image
    return image.transpose(Image.Transpose[turn]) if turn else image


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
