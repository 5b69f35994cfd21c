"""The precision that a model computes in."""

from bridge_tf.utils.keras_utils import from_plain_config, inner_layers, to_config, with_weights_of


def in_float32(model):
    """`model`, or a copy in float32 if it is of mixed precision.

    TFLite's built-in operations and most servers don't support bfloat16.
    """
    if all(layer.compute_dtype in ("float32", None) for layer in inner_layers(model)):
        return model
    return with_weights_of(model, from_plain_config(_replaced(to_config(model)), model))


def _replaced(config):
    """A copy of a configuration without policies of mixed precision."""
    if isinstance(config, dict):
        return {key: _replaced(value) for key, value in config.items()}
    if isinstance(config, list | tuple):
        return type(config)(_replaced(item) for item in config)
    return "float32" if config in ("mixed_bfloat16", "mixed_float16") else config
