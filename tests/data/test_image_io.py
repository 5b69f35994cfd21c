import io

import numpy as np
import pytest
from PIL import Image

from bridge_tf.data.image_io import read_image, to_png


def read(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_holds_the_pixels(tmp_path, channels):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, channels)).astype("uint8")
    (tmp_path / "image.png").write_bytes(to_png(pixels))
    np.testing.assert_array_equal(read_image(tmp_path / "image.png"), pixels)


def test_a_png_of_any_numbers_is_of_whole_ones_in_range():
    pixels = np.array([[[-3.0], [0.6], [254.4], [300.0]]])
    assert read(to_png(pixels)).tolist() == [[0, 1, 254, 255]]


def test_a_png_of_other_channels_shows_the_first():
    assert read(to_png(np.full((2, 2, 5), range(5)))).tolist() == [[0, 0], [0, 0]]


def test_a_png_is_shrunk_to_the_longest_side():
    assert read(to_png(np.full((40, 20, 1), 7), longest=10)).tolist() == [[7] * 5] * 10
    assert read(to_png(np.zeros((4, 2, 3)), longest=10)).shape == (4, 2, 3)


def test_exif_orientation_is_ignored(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    for name in ("image.jpg", "image.png"):
        Image.new("L", (16, 8)).save(tmp_path / name, exif=exif)
        assert read_image(tmp_path / name).shape == (8, 16, 1)
