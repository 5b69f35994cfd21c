"""Networks by name, and the layers that Keras lacks."""

from bridge_tf.networks.frn import FilterResponseNormalization
from bridge_tf.networks.registry import build_network, network_names
from bridge_tf.networks.resnet import NORMS, build_resnet

__all__ = [
    "NORMS",
    "FilterResponseNormalization",
    "build_network",
    "build_resnet",
    "network_names",
]
