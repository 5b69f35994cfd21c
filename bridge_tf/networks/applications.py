"""The models of `keras.applications`, from raw pixels to logits."""

import inspect
import re

import keras

from bridge_tf.networks.layer_names import number_layers
from bridge_tf.networks.preprocessing import PREPROCESSING, own_mode, preprocess
from bridge_tf.networks.weights import load_weights
from bridge_tf.utils.errors import InputError, reason
from bridge_tf.utils.keras_utils import clone


def application_names() -> tuple[str, ...]:
    """The names of the models of `keras.applications`."""
    return tuple(name for name, value in vars(keras.applications).items() if callable(value))


def build_application(
    name: str,
    input_shape: tuple[int, int, int],
    num_classes: int,
    *,
    width: float = 1,
    input_size: int = 0,
    preprocessing: str = "auto",
    weights: str = "",
    model_name: str | None = None,
) -> keras.Model:
    """Builds a model of `keras.applications` with its pre-processing.

    All layers are at the top level under Keras's names, so that they can be tapped. Layers without
    a name are numbered within the model (`conv2d`, `conv2d_1`, …), the same in every process. The
    pre-processing layers, if needed, are `resize`, `rgb`, `flip` and `pixels`.

    Args:
        name: one of `application_names()`.
        input_shape: (height, width, channels); 1 channel is repeated to 3.
        num_classes: at least 2.
        width: factor on the channels, > 0 (`alpha` of the MobileNets; other models take only 1).
        input_size: height and width to which images are resized bilinearly; 0: no resizing.
        preprocessing: one of `PREPROCESSING`. "auto" is the one that the model was published with.
            Models that scale the pixels themselves take only "auto" and "none".
        weights: weights file, as in `load_weights`; empty: random weights.

    Returns:
        A Functional model from raw pixels, N×H×W×C in 0…255, to logits, N×num_classes.

    Raises:
        InputError: the images are too small, or an argument doesn't fit the images or the model.
    """
    builder = getattr(keras.applications, name)
    mode = _mode(name, builder, preprocessing)
    options = _width_options(name, builder, width)
    if input_shape[-1] not in (1, 3):
        raise InputError(
            f"`model={name}`: takes images of 1 or 3 channels, but these have {input_shape[-1]}"
        )
    if input_size < 0:
        raise InputError(f"`input_size={input_size}`: must be 0, which leaves the images, or more")

    inputs = keras.Input(input_shape, name="image")
    x = inputs
    if input_size and tuple(input_shape[:2]) != (input_size, input_size):
        # Not keras.layers.Resizing, which would switch all layers behind it to training.
        x = keras.ops.image.resize(x, (input_size, input_size), interpolation="bilinear")
    if input_shape[-1] == 1:
        x = keras.layers.Concatenate(name="rgb")([x, x, x])
    x = preprocess(x, mode)
    try:
        application = builder(
            input_tensor=x,
            input_shape=x.shape[1:],  # without it, some models check their default size
            weights=None,
            classes=num_classes,
            classifier_activation=None,
            **options,
        )
    except ValueError as error:
        raise _refusal(name, x.shape[1:3], input_size, width, error) from error
    number_layers(application)
    model = keras.Model(inputs, application.output, name=model_name or name.lower())
    if not weights:
        return model
    load_weights(model, weights)
    return clone(model)


def _mode(name: str, builder, preprocessing: str) -> str:
    if preprocessing not in PREPROCESSING:
        raise InputError(
            f"`preprocessing={preprocessing}`: must be one of {', '.join(PREPROCESSING)}"
        )
    own = own_mode(builder)
    if own == "none" and preprocessing not in ("auto", "none"):
        raise InputError(
            f"`preprocessing={preprocessing}`: {name} scales the pixels itself; leave it at auto"
        )
    return own if preprocessing == "auto" else preprocessing


def _width_options(name: str, builder, width: float) -> dict:
    if width <= 0:
        raise InputError(f"`width={width}`: must be positive")
    if "alpha" in inspect.signature(builder).parameters:
        return {"alpha": width}
    if width != 1:
        raise InputError(f"`width={width}`: {name} comes in one width; leave it at 1")
    return {}


def _refusal(name: str, size, input_size: int, width: float, error: ValueError) -> InputError:
    """The InputError for a model that Keras refuses to build."""
    if smallest := re.search(r"at least (\d+)", str(error)):
        given = f"`input_size={input_size}`" if input_size else "`input_size`"
        now = "" if input_size else f", these are {size[0]}×{size[1]}"
        return InputError(
            f"{given}: {name} takes images of at least {smallest[1]}×{smallest[1]} pixels{now}; "
            f"set `input_size={smallest[1]}` or more"
        )
    return InputError(
        f"`model={name}`: can't be built for images of {size[0]}×{size[1]} pixels and "
        f"`width={width}` ({reason(error)})"
    )
