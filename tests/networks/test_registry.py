import keras
import pytest

from bridge_tf import InputError, build_network
from bridge_tf.networks import network_names, network_options


def test_names_are_known_and_distinct():
    names = network_names()
    assert {"resnet8", "resnet56", "ResNet50", "MobileNetV3Small", "ConvNeXtTiny"} <= set(names)
    assert len(names) == len(set(names)) == 9 + 4 + 1 + 40
    for name in names:
        assert "width" in network_options(name)


def test_options_belong_to_a_kind(tmp_path):
    assert network_options("resnet20") == ("width", "norm", "pixel_mean", "pixel_std")
    assert network_options("imagenet_resnet50") == (
        *("width", "norm", "stem", "pixel_mean", "pixel_std"),
    )
    assert network_options("VGG16") == ("width", "input_size", "preprocessing", "weights")
    assert network_options("some/where.keras") == ()
    with pytest.raises(TypeError, match="norm"):
        build_network("MobileNet", (32, 32, 3), 2, norm="frn")
    with pytest.raises(TypeError, match="input_size"):
        build_network("resnet8", (8, 8, 3), 2, input_size=8)
    with pytest.raises(TypeError, match="width"):
        build_network("some/where.keras", (8, 8, 3), 2, width=2)


def test_the_kind_is_found_by_the_name(tmp_path):
    path = tmp_path / "mine.keras"
    layers = [keras.Input((8, 8, 1)), keras.layers.Flatten(), keras.layers.Dense(2, name="mine")]
    keras.Sequential(layers).save(path)
    assert build_network(str(path), (8, 8, 1), 2).layers[-1].name == "mine"
    assert build_network("resnet8", (8, 8, 1), 2).name == "resnet8"
    assert build_network("MobileNet", (32, 32, 1), 2, width=0.25).name == "mobilenet"


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("resnet9", "resnet8"),
        ("resnet8x", "resnet8"),
        ("resnet08", "resnet8"),
        ("resnet62", "resnet32"),
        ("imagenet_resnet152", "imagenet_resnet50"),
        ("vgg16", "VGG16"),
        ("mobilenet_v2", "MobileNetV2"),
        ("EfficientnetB0", "EfficientNetB0"),
        ("imagenet_utils", ""),
    ],
)
def test_unknown_networks_are_refused(name, nearest):
    for refuses in (lambda: build_network(name, (8, 8, 1), 2), lambda: network_options(name)):
        with pytest.raises(
            InputError, match=rf"`model`: no .*'{name}'; .*{nearest}.* \.keras file"
        ):
            refuses()
