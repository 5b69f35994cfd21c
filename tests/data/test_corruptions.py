import colorsys
import io

import numpy as np
import pytest
import scipy.stats
from PIL import Image, ImageEnhance

from bridge_tf.config.fields import CORRUPTIONS
from bridge_tf.data import corruptions
from bridge_tf.data.corruptions import PARAMETERS, SEVERITIES, corrupt
from tests.conftest import REPOSITORY

SHAPES = [(8, 8, 1), (32, 32, 3), (20, 12, 3), (10, 10, 4)]


def pictures(shape, count=3, seed=0) -> np.ndarray:
    """Smooth pictures with edges, uint8."""
    generator = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    waves = [
        128 + 100 * np.sin(x / 3 + a) * np.cos(y / 4 + b)
        for a, b in generator.uniform(0, 6, (count * shape[2], 2))
    ]
    images = np.array(waves).reshape(count, shape[2], *shape[:2]).transpose(0, 2, 3, 1)
    images[:, : shape[0] // 3, : shape[1] // 3] = 250
    return images.astype("uint8")


def test_the_flag_knows_all_kinds():
    assert tuple(PARAMETERS) == CORRUPTIONS
    assert all(len(values) == len(SEVERITIES) == 5 for values in PARAMETERS.values())


def distance(kind: str, made: np.ndarray, images: np.ndarray) -> float:
    if kind == "pixelation":  # squares that fit into the picture's own hide in it
        return len(images[0]) - len(np.unique(made[0], axis=0))
    return np.square(made.astype(float) - images).mean()


@pytest.mark.parametrize("kind", PARAMETERS)
def test_the_tables_have_the_parameters(kind):
    page = (REPOSITORY / "docs" / "evaluation.md").read_text()
    for text, name in ((corruptions.__doc__, kind), (page, f"`{kind}`")):
        (line,) = (line for line in text.splitlines() if line.startswith(f"| {name} |"))
        assert tuple(map(float, line.split("|")[3:8])) == PARAMETERS[kind]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", PARAMETERS)
def test_every_severity_is_further_from_the_image(kind, shape):
    images = pictures(shape)
    before = images.copy()
    distances = []
    for severity in SEVERITIES:
        made = corrupt(images, kind, severity)
        assert made.shape == images.shape and made.dtype == np.uint8
        distances.append(distance(kind, made, images))
    assert distances == sorted(set(distances)) and distances[0] > 0
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize("kind", PARAMETERS)
def test_an_image_is_corrupted_alike_in_any_batch(kind):
    images = pictures((16, 16, 3), 6)
    whole = corrupt(images, kind, 3)
    parts = [corrupt(images[[k]], kind, 3, [k]) for k in range(6)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    np.testing.assert_array_equal(corrupt(images[::-1], kind, 3, range(5, -1, -1)), whole[::-1])


def test_noise_is_gaussian_and_another_for_each_image_and_severity():
    grey = np.full((2, 64, 64, 1), 128, "uint8")
    first, second = (corrupt(grey, "noise", severity) - 128.0 for severity in (1, 2))
    for noise, share in ((first, 0.04), (second, 0.08)):
        # 8,192 draws: the deviation is within 3.5 % of its own with a chance of 1 - 1e-5, and
        # rounding adds a twelfth to the variance.
        assert noise.std() == pytest.approx(np.sqrt((255 * share) ** 2 + 1 / 12), rel=0.035)
        assert abs(noise.mean()) < 4.5 * 255 * share / np.sqrt(noise.size)
        assert abs(scipy.stats.skew(noise, axis=None)) < 0.12
    for a, b in ((first[0], first[1]), (first[0], second[0])):
        assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.07


def test_noise_is_the_same_for_ever():
    # What NumPy's PCG64 draws from the seed (CRC-32 of "noise", severity, index).
    made = corrupt(np.full((1, 1, 5, 1), 128), "noise", 3, [7])
    assert made.ravel().tolist() == [69, 186, 122, 154, 139]


def test_contrast_moves_to_the_mean_of_each_channel():
    image = np.array([[[[0, 50]], [[200, 50]]]], "uint8")  # 2×1, two channels, means 100 and 50
    assert corrupt(image, "contrast", 4)[0, :, 0].tolist() == [[70, 50], [130, 50]]


def test_contrast_is_pillows_but_for_the_mean():
    grey = pictures((32, 32, 1))[:1]
    pillow = ImageEnhance.Contrast(Image.fromarray(grey[0, ..., 0])).enhance(0.3)
    # Pillow rounds the mean and cuts the rest off.
    np.testing.assert_allclose(corrupt(grey, "contrast", 4)[0, ..., 0], pillow, atol=1)


def test_brightness_is_the_value_of_hsv():
    image = pictures((8, 8, 3))[:1]
    image[0, 0, 0] = 0
    expected = np.empty(image.shape)
    for place in np.ndindex(image.shape[:3]):
        hue, saturation, value = colorsys.rgb_to_hsv(*(image[place] / 255))
        expected[place] = colorsys.hsv_to_rgb(hue, saturation, min(value + 0.15, 1))
    # A half may be rounded either way.
    np.testing.assert_allclose(corrupt(image, "brightness", 3), 255 * expected, atol=0.5 + 1e-9)
    assert corrupt(image, "brightness", 3)[0, 0, 0].tolist() == [round(255 * 0.15)] * 3


def test_blur_spreads_a_point_as_far_as_its_parameter_says():
    for side, scale in ((32, 1.0), (256, 2.0)):
        point = np.zeros((1, side, side, 1), "float32")
        point[0, side // 2, side // 2] = 255
        # Rounded to 8 bits, a point would lose its tails: a line keeps more of them.
        point[0, :, side // 2] = 255
        row = corrupt(point, "blur", 5)[0, side // 2, :, 0].astype(float)
        away = np.arange(side) - side // 2
        deviation = np.sqrt((row * away**2).sum() / row.sum())
        assert deviation == pytest.approx(2.0 * scale, rel=0.02)


def test_jpeg_is_pillows():
    for shape, mode in (((16, 16, 3), "RGB"), ((16, 16, 1), "L")):
        image = pictures(shape)[:1]
        file = io.BytesIO()
        Image.fromarray(image[0].squeeze()).save(file, "JPEG", quality=25)
        decoded = Image.open(file)
        assert decoded.mode == mode
        expected = np.asarray(decoded).reshape(shape)
        np.testing.assert_array_equal(corrupt(image, "jpeg", 3)[0], expected)


def test_pixels_become_means_of_squares():
    image = np.arange(16, dtype="uint8").reshape(1, 4, 4, 1) * 10
    # Half the height and width: of 0, 10, 40 and 50 the mean, and so on.
    expected = np.repeat(np.repeat([[25, 45], [105, 125]], 2, axis=0), 2, axis=1)
    np.testing.assert_array_equal(corrupt(image, "pixelation", 3)[0, ..., 0], expected)


def test_float_images_are_rounded_first_where_codecs_need_it():
    image = pictures((8, 8, 1)).astype("float32")
    for kind in PARAMETERS:
        expected = corrupt(image.astype("uint8"), kind, 2)
        np.testing.assert_array_equal(corrupt(image, kind, 2), expected)


def test_other_kinds_and_severities_are_refused():
    for kind, severity in (("fog", 1), ("noise", 0), ("noise", 6)):
        with pytest.raises(ValueError, match=r"Received: kind="):
            corrupt(pictures((8, 8, 1)), kind, severity)
