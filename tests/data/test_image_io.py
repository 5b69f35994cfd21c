"""Reading and writing image files."""

import io
import os

import numpy as np
import pytest
from PIL import Image

from bridge_tf.data.image_io import BadImageError, has_image_content, read_image, to_png
from tests.conftest import REPOSITORY


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


def test_exif_orientation_is_ignored_if_asked(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    for name in ("image.jpg", "image.png"):
        Image.new("L", (16, 8)).save(tmp_path / name, exif=exif)
        assert read_image(tmp_path / name, exif="ignore").shape == (8, 16, 1)
        assert read_image(tmp_path / name).shape == (16, 8, 1)


# Where the standard (EXIF 2.32, 4.6.4) puts the stored rows 12 and 34.
UPRIGHT = {
    1: [[1, 2], [3, 4]],
    2: [[2, 1], [4, 3]],
    3: [[4, 3], [2, 1]],
    4: [[3, 4], [1, 2]],
    5: [[1, 3], [2, 4]],
    6: [[3, 1], [4, 2]],
    7: [[4, 2], [3, 1]],
    8: [[2, 4], [1, 3]],
    9: [[1, 2], [3, 4]],  # no such orientation
}


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_images_are_turned_upright(tmp_path, kind, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = np.array([[1, 2], [3, 4]], "uint8").repeat(3).reshape(2, 2, 3)
    Image.fromarray(stored).save(tmp_path / "image", kind, exif=exif, lossless=True)
    assert read_image(tmp_path / "image")[..., 0].tolist() == UPRIGHT[orientation]


def test_damaged_exif_data_spoils_no_image(tmp_path):
    Image.new("L", (3, 2), 7).save(tmp_path / "image.png", exif=b"Exif\0\0MM\0*" + b"\xff" * 9)
    assert read_image(tmp_path / "image.png").tolist() == [[[7]] * 3] * 2


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "MPO", "GIF", "BMP", "WEBP"])
@pytest.mark.parametrize("name", ["image", "image.png", "image.TXT"])
def test_the_content_tells_the_format(tmp_path, kind, name):
    frames = {} if kind in ("JPEG", "BMP") else {"save_all": True}
    first, second = (Image.new("RGB", (16, 8), colour) for colour in ("white", "black"))
    if frames:
        frames["append_images"] = [second]
    first.save(tmp_path / name, kind, **frames)
    assert has_image_content(tmp_path / name)
    assert read_image(tmp_path / name).tolist() == [[[255] * 3] * 16] * 8


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"


@pytest.mark.parametrize("kind", ["EPS", "TIFF", "PPM", "TGA", "ICO", "PCX", "SGI"])
def test_other_formats_are_no_images_whatever_their_name(tmp_path, kind, monkeypatch):
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", None)  # a call would be a TypeError
    path = tmp_path / "x.png"
    if kind == "EPS":
        path.write_bytes(EPS)
    else:
        Image.new("RGB", (16, 16)).save(path, kind)
    assert not has_image_content(path)
    with pytest.raises(BadImageError) as error:
        read_image(path)
    assert str(error.value) == (
        f"{path}: can't be decoded as an image (no image); it must be a whole PNG, JPEG, GIF, BMP "
        "or WEBP"
    )


def test_images_are_opened_in_one_place():
    files = (REPOSITORY / "bridge_tf").rglob("*.py")
    found = [path.name for path in files if "Image.open(" in path.read_text(encoding="utf-8")]
    assert found == ["image_io.py"]


def test_text_that_begins_like_a_bitmap_is_none(tmp_path):
    (tmp_path / "x.txt").write_text("BM is short for bitmap.")
    assert not has_image_content(tmp_path / "x.txt")


def test_a_fifo_is_refused_unopened(tmp_path):
    os.mkfifo(tmp_path / "x.png")
    with pytest.raises(BadImageError, match=r"x\.png: .* \(no regular file\)"):
        read_image(tmp_path / "x.png")
