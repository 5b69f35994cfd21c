"""Reading .keras files of users and of runs."""

import pathlib
import zipfile

import keras

from bridge_tf.utils.errors import InputError, reason


def read_model(path, argument: str) -> keras.Model:
    """Reads the model in a .keras file, in safe mode and without its optimizer and losses.

    Raises:
        InputError: the file doesn't exist, is damaged, needs a class that isn't registered, or
            contains code or no model; the message begins with its setting, `argument`.
    """
    given = f"`{argument}={path}`"
    if not pathlib.Path(path).is_file():
        raise InputError(f"{given}: there is no such file")
    if not zipfile.is_zipfile(path):
        raise InputError(f"{given}: is no .keras file, or damaged; save the model again")
    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # damaged files raise many kinds of errors
        # Keras puts the cause at the end, behind the configurations of all enclosing objects.
        cause = str(error).rpartition("Exception encountered: ")[2]
        why = reason(Exception(cause) if cause else error)
        raise InputError(f"{given}: can't be loaded ({why})") from error
    if not isinstance(model, keras.Model):
        raise InputError(
            f"{given}: holds the layer {type(model).__name__}; it must hold a keras.Model"
        )
    return model


def read_as(path: pathlib.Path, kind: type, remedy: str) -> keras.Model:
    """Reads a run's own .keras file in safe mode: a `kind`, else an InputError with `remedy`."""
    try:
        model = keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # damaged files raise many kinds of errors
        raise InputError(f"{path} can't be read ({reason(error)}); {remedy}") from error
    if not isinstance(model, kind):
        raise InputError(f"{path} holds a {type(model).__name__}, not a {kind.__name__}; {remedy}")
    return model
