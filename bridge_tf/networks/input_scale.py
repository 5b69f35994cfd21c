"""The scale of the pixels that a user's network takes, put inside it."""

import keras
import numpy as np

from bridge_tf.utils.flatten import flattened

# Factor and offset from pixels 0…255, by the names of scales.
SCALES = {"255": (1.0, 0.0), "1": (1 / 255, 0.0), "symmetric": (1 / 127.5, -1.0)}


def scaled(images: np.ndarray, scale: str) -> np.ndarray:
    """Pixels 0…255 on a scale of `SCALES`, float32."""
    factor, offset = SCALES[scale]
    return np.asarray(images, "float32") * np.float32(factor) + np.float32(offset)


def with_input_scale(model: keras.Model, scale: str) -> keras.Model:
    """A network for pixels 0…255 around one for a scale of `SCALES`; layers keep their names."""
    if scale == "255":
        return model
    factor, offset = SCALES[scale]
    image = keras.Input(model.input_shape[1:], name="image")
    pixels = keras.layers.Rescaling(factor, offset, name="input_scale")(image)
    return flattened(keras.Model(image, model(pixels), name=model.name), prefixes=False)
