"""The residual family for larger images, and all that is built from its graph."""

import math

import keras
import numpy as np
import pytest

from bridge_tf import BridgeEnsemble, Curve, build_bridge, build_network
from bridge_tf.config import Config
from bridge_tf.curves.alignment import align
from bridge_tf.networks.flops import count_flops
from tests.curves.alignment.models import with_random_weights

IMAGES = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype("float32")


def small(depth=50, norm="frn", stem="imagenet", seed=0):
    """A network of 4 to 32 channels, its weights and moving averages drawn at random."""
    network = build_network(
        f"imagenet_resnet{depth}", (32, 32, 3), 7, norm=norm, stem=stem, width=1 / 16
    )
    return with_random_weights(network, seed, IMAGES)


def answers(model, images=IMAGES):
    return keras.ops.convert_to_numpy(model(images, training=False))


# torchvision's published numbers for 1,000 classes, batch norms' moving averages left out.
@pytest.mark.parametrize(
    ("depth", "parameters"),
    [(18, 11_689_512), (34, 21_797_672), (50, 25_557_032), (101, 44_549_160)],
)
def test_parameters_are_those_of_torchvision(depth, parameters):
    network = build_network(f"imagenet_resnet{depth}", (64, 64, 3), 1000, norm="batch")
    assert sum(math.prod(w.shape) for w in network.trainable_weights) == parameters


def test_cost_is_the_known_one():
    # 4.089 G multiply-adds at 224×224 (torchvision); the rest are norms and activations.
    network = build_network("imagenet_resnet50", (224, 224, 3), 1000, norm="batch")
    assert 1 < count_flops(network) / (2 * 4.089e9) < 1.03


@pytest.mark.parametrize(
    ("depth", "blocks", "channels"),
    [(18, (2, 2, 2, 2), (64, 128, 256, 512)), (34, (3, 4, 6, 3), (64, 128, 256, 512)),
     (50, (3, 4, 6, 3), (256, 512, 1024, 2048)), (101, (3, 4, 23, 3), (256, 512, 1024, 2048))],
)  # fmt: skip
def test_blocks_are_named_by_stage_and_have_its_shape(depth, blocks, channels):
    stem, first = ("imagenet", 16) if depth > 34 else ("small", 64)
    network = build_network(f"imagenet_resnet{depth}", (64, 64, 3), 10, stem=stem, width=1 / 16)
    names = {layer.name for layer in network.layers}
    for stage, (count, wide) in enumerate(zip(blocks, channels, strict=True), start=1):
        assert f"stage{stage}_block{count + 1}" not in names
        for block in range(1, count + 1):
            size = first // 2 ** (stage - 1)
            output = network.get_layer(f"stage{stage}_block{block}").output
            assert output.shape == (None, size, size, wide // 16)
    kinds = (keras.layers.Conv2D, keras.layers.Dense)
    layers = [x for x in network.layers if isinstance(x, kinds) and "shortcut" not in x.name]
    assert len(layers) == depth
    tap = Config(model=f"imagenet_resnet{depth}").taps[0]
    assert tap == f"stage3_block{blocks[2]}" and tap in names


def test_stem_of_imagenet():
    network = build_network("imagenet_resnet50", (224, 224, 3), 2, width=0.25)
    conv, pool = network.get_layer("stem_conv"), network.get_layer("stem_pool")
    assert (conv.kernel_size, conv.strides, conv.output.shape) == (
        (7, 7), (2, 2), (None, 112, 112, 16)
    )  # fmt: skip
    assert (pool.pool_size, pool.strides, pool.output.shape) == (
        (3, 3), (2, 2), (None, 56, 56, 16)
    )  # fmt: skip


def test_bad_options_are_named():
    for options, message in (
        ({"norm": "layer"}, "norm=layer"),
        ({"width": 0}, "width=0"),
        ({"stem": "large"}, "stem=large"),
        ({"pixel_mean": (0.1, 0.2)}, "pixel_mean"),
    ):
        with pytest.raises(ValueError, match=message):
            build_network("imagenet_resnet18", (8, 8, 3), 2, **options)


@pytest.mark.integration
@pytest.mark.parametrize(("depth", "norm"), [(50, "frn"), (18, "batch")])
def test_curves_keep_their_ends_and_aligned_ends_their_answers(depth, norm):
    start, end = small(depth, norm), small(depth, norm, seed=1)
    aligned = align(start, end, "weights")
    # Sums in another order, in single precision, through 50 layers.
    np.testing.assert_allclose(answers(aligned), answers(end), rtol=1e-3, atol=1e-4)
    moved = [w.numpy() for w in aligned.get_layer("stage2_block1_conv1").weights]
    assert not np.array_equal(moved[0], end.get_layer("stage2_block1_conv1").kernel.numpy())
    curve = Curve.between(start, aligned)
    np.testing.assert_array_equal(answers(curve.model_at(0.0)), answers(start))


@pytest.mark.integration
def test_bridges_from_two_taps_and_their_cost():
    base = small()
    taps = ["stage3_block5", "stage3_block6"]
    bridges = [build_bridge(base, taps, width) for width in (0.5, 1)]
    assert bridges[0].get_layer("taps").output.shape == (None, 2, 2, 128)
    for bridge, channels in zip(bridges, (64, 128), strict=True):
        body = bridge.layers[-1]
        assert body.get_layer("stage4_block3").output.shape == (None, 1, 1, channels)
    flops = [count_flops(model) for model in (*bridges, base)]
    assert flops[0] < flops[1] < flops[2]
    ensemble = BridgeEnsemble(base, [bridges[0]])
    assert ensemble(IMAGES)["log_probabilities"].shape == (4, 2, 7)
