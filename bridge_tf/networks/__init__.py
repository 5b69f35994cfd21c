"""Networks by name or from a file, and custom layers."""

from bridge_tf.config.fields import NORMS, PREPROCESSING
from bridge_tf.networks.applications import build_application
from bridge_tf.networks.architecture import build_from_file, fresh_copy
from bridge_tf.networks.frn import FilterResponseNormalization
from bridge_tf.networks.registry import build_network, network_names, network_options
from bridge_tf.networks.resnet import build_imagenet_resnet, build_resnet

__all__ = [
    "NORMS",
    "PREPROCESSING",
    "FilterResponseNormalization",
    "build_application",
    "build_from_file",
    "build_imagenet_resnet",
    "build_network",
    "build_resnet",
    "fresh_copy",
    "network_names",
    "network_options",
]
