"""Augmentation of whole batches."""

import numpy as np
import pytest
import tensorflow as tf

from bridge_tf.data import augment


def test_crop_equals_a_plain_loop_over_windows():
    padding, height, width = 2, 7, 6
    # Values from 1 and all different, so that one window alone can match.
    images = np.arange(1, 300 * height * width + 1, dtype="int32").reshape(300, height, width, 1)
    cropped = augment.random_crop(tf.constant(images), padding, tf.constant([3, 4])).numpy()
    assert cropped.shape == images.shape
    offsets = []
    for image, result in zip(images, cropped, strict=True):
        padded = np.zeros((height + 2 * padding, width + 2 * padding, 1), "int32")
        padded[padding:-padding, padding:-padding] = image
        matches = [
            (top, left)
            for top in range(2 * padding + 1)
            for left in range(2 * padding + 1)
            if (padded[top : top + height, left : left + width] == result).all()
        ]
        assert len(matches) == 1
        offsets += matches
    # 300 draws of 25 offsets: one is missed with probability 25 · 0.96^300 = 1e-4.
    assert len(set(offsets)) == 25


def test_flip_mirrors_about_half_of_the_images_left_to_right():
    images = np.arange(2000 * 2 * 3 * 2).reshape(2000, 2, 3, 2)
    flipped = augment.random_flip(tf.constant(images), tf.constant([1, 2])).numpy()
    mirrored = (flipped != images).any(axis=(1, 2, 3))
    expected = np.where(mirrored[:, None, None, None], images[:, :, ::-1], images)
    np.testing.assert_array_equal(flipped, expected)
    # Four standard deviations of Binomial(2000, ½).
    assert abs(mirrored.mean() - 0.5) < 4 * np.sqrt(0.25 / 2000)


def _shares(batch, alpha, seed):
    """Each image's coefficient and its partner's distance in the batch."""
    one_hot = np.eye(batch, dtype="float32").reshape(batch, 1, batch, 1)
    mixed = augment.mixup(tf.constant(one_hot), alpha, tf.constant(seed)).numpy()
    mixed = mixed.reshape(batch, batch)
    partners = [set(np.flatnonzero(row)) - {k} for k, row in enumerate(mixed)]
    distances = {(k - p) % batch for k, others in enumerate(partners) for p in others}
    assert all(len(others) <= 1 for others in partners)
    # One addition of two single-precision numbers.
    np.testing.assert_allclose(mixed.sum(axis=1), 1, rtol=2e-7)
    assert len(distances) == 1
    return np.diagonal(mixed), distances.pop()


@pytest.mark.parametrize("alpha", [0.05, 0.4, 2.0])
def test_mixup_is_a_convex_combination_with_a_beta_coefficient_an_image(alpha):
    draws = [_shares(400, alpha, [5, k]) for k in range(10)]
    shares = np.concatenate([share for share, _ in draws]).astype("float64")
    assert shares.min() >= 0
    assert shares.max() <= 1
    assert all(1 <= distance < 400 for _, distance in draws)
    assert len({distance for _, distance in draws}) > 5
    assert len(np.unique(shares)) > 1000
    # Beta(a, a) has the mean ½ and the variance 1 / (4 (2a + 1)). Five standard errors of 4,000
    # draws; the variance's is bounded by that of (λ - ½)² in [0, ¼].
    variance = 1 / (4 * (2 * alpha + 1))
    assert abs(shares.mean() - 0.5) < 5 * np.sqrt(variance / 4000)
    assert abs(shares.var() - variance) < 5 * 0.125 / np.sqrt(4000)


def test_one_coefficient_serves_all_pixels_of_an_image():
    images = np.random.default_rng(0).uniform(0, 255, (16, 5, 4, 3)).astype("float32")
    seed = [8, 9]
    shares, distance = _shares(16, 0.4, seed)
    mixed = augment.mixup(tf.constant(images), 0.4, tf.constant(seed)).numpy()
    for k in range(16):
        expected = shares[k] * images[k] + (1 - shares[k]) * images[(k - distance) % 16]
        # Two products and a sum of numbers up to 255 in single precision.
        np.testing.assert_allclose(mixed[k], expected, atol=1e-4)


def test_mixup_stays_finite_for_a_tiny_alpha_and_a_batch_of_one():
    images = tf.fill([64, 2, 2, 1], 100.0)
    mixed = augment.mixup(images, 1e-4, tf.constant([0, 0])).numpy()
    # A share and its complement add up to 1 within single precision.
    np.testing.assert_allclose(mixed, 100.0, rtol=2e-7)
    alone = augment.mixup(images[:1], 0.4, tf.constant([0, 0])).numpy()
    np.testing.assert_allclose(alone, 100.0, rtol=2e-7)


def _boxes(height, width, draws=400):
    """top, left, height, width of random boxes in an image, as `random_resized_crop` draws them."""
    seeds = tf.random.split(tf.constant([1, 2]), draws)
    shape = tf.constant([height, width, 3])
    return tf.map_fn(
        lambda s: augment._random_box(shape, s), seeds, fn_output_signature=tf.int32
    ).numpy()


# No box of ratio 4:3 has more than four fifths of an image of 5:3.
@pytest.mark.parametrize(("height", "width", "most"), [(64, 64, 1.0), (300, 500, 0.8)])
def test_boxes_have_8_to_100_percent_of_the_area_and_a_ratio_near_1(height, width, most):
    top, left, high, wide = _boxes(height, width).astype("float64").T
    assert (np.minimum(top, left) >= 0).all()
    assert (top + high <= height).all() and (left + wide <= width).all()
    # Sides are rounded to whole pixels, by less than a pixel.
    area = high * wide / (height * width)
    ratio = wide / high
    assert 0.07 < area.min() < 0.11 and 0.9 * most < area.max() <= most
    assert ratio.min() > 3 / 4 * 0.95 and ratio.max() < 4 / 3 * 1.05
    assert ratio.min() < 0.8 and ratio.max() > 1.25
    for place, free in ((top, height - high), (left, width - wide)):
        inner = free >= 8
        share = place[inner] / free[inner]
        assert share.min() < 0.05 and share.max() > 0.95 and abs(share.mean() - 0.5) < 0.06


@pytest.mark.parametrize(
    ("height", "width", "box"),
    [(8, 800, (0, 394, 8, 11)), (800, 8, (394, 0, 11, 8)), (1, 1, (0, 0, 1, 1))],
)
def test_where_no_box_fits_it_is_the_largest_in_the_middle(height, width, box):
    # Of such images boxes of 8 % of the area are higher or wider than they are.
    assert (_boxes(height, width, 20) == box).all()


def test_a_resized_crop_is_its_box_of_the_image():
    # Brightness rises evenly, so that a resized box rises from its first to its last pixel.
    ramp = np.add.outer(np.arange(40) * 5.0, np.arange(60)).astype("float32")[..., None]
    for seed in ([3, 4], [5, 6], [7, 8]):
        top, left, high, wide = augment._random_box(tf.constant([40, 60, 1]), seed).numpy()
        crop = augment.random_resized_crop(tf.constant(ramp), (32, 32), tf.constant(seed)).numpy()
        assert crop.shape == (32, 32, 1)
        box = ramp[top : top + high, left : left + wide]
        # The mean of an even ramp is that of its resized one, but for its rounded ends.
        assert crop.mean() == pytest.approx(box.mean(), rel=0.01)
        assert box.min() - 1e-3 <= crop.min() and crop.max() <= box.max() + 1e-3
        middle = 16 * wide / 32 - 0.5, 16 * high / 32 - 0.5
        expected = 5 * (top + middle[1]) + left + middle[0]
        assert crop[15:17, 15:17].mean() == pytest.approx(expected, rel=0.01)
