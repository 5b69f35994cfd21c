"""Reading one image file."""

import os

import numpy as np

from bridge_tf.errors import InputError


def read_image(
    path: str | os.PathLike, *, channels: int, size: tuple[int, int] | None = None
) -> np.ndarray:
    """Decodes an image file whole.

    Args:
        path: of a file that Pillow reads.
        channels: 1 for grey, 3 for RGB. Transparent pixels are laid on black.
        size: (height, width) to resize to, bilinearly; None keeps the image's own.

    Returns:
        H×W×channels, uint8.

    Raises:
        InputError: the file is missing, truncated or no image; the message names it.
    """
    from PIL import Image

    with _opened(path) as image:
        image = _eight_bits(image)
        if image.mode in ("LA", "RGBA", "PA") or "transparency" in image.info:
            image = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image)
        image = image.convert("L" if channels == 1 else "RGB")
        if size is not None and image.size != (size[1], size[0]):
            image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
        return np.asarray(image, "uint8").reshape(image.size[1], image.size[0], channels)


def is_grey(path: str | os.PathLike) -> bool:
    """Whether the file holds a grey image, with or without transparency."""
    with _opened(path, decode=False) as image:
        return image.mode in ("1", "L", "LA", "I", "I;16", "F")


def _eight_bits(image):
    """16-bit grey scaled to 8 bits; Pillow would clip it."""
    if image.mode not in ("I", "I;16"):
        return image
    from PIL import Image

    return Image.fromarray((np.asarray(image) // 256).clip(0, 255).astype("uint8"))


class _opened:
    """Opens and, if wanted, decodes an image; what goes wrong becomes an InputError."""

    def __init__(self, path, decode: bool = True):
        self.path, self.decode = path, decode

    def __enter__(self):
        from PIL import Image

        try:
            self.image = Image.open(self.path)
            if self.decode:
                self.image.load()
        except FileNotFoundError as error:
            raise InputError(f"{self.path}: no such file; name a PNG or JPEG image") from error
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise InputError(
                f"{self.path}: can't be decoded as an image; it must be a whole PNG or JPEG"
            ) from error
        return self.image

    def __exit__(self, *error):
        self.image.close()
