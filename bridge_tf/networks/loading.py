"""Reading .keras files of users and of runs."""

import pathlib
import warnings
import zipfile

import keras
import numpy as np

from bridge_tf.utils.archives import check_archive, check_growth
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.keras_utils import cause_of
from bridge_tf.utils.paths import check_file, open_file

_AGAIN = "save the model again"
_WEIGHTS = "model.weights.h5"


def read_model(path, argument: str) -> keras.Model:
    """Reads the model in a .keras file, in safe mode and without its optimizer and losses.

    Raises:
        InputError: the file doesn't exist, is damaged, needs a class that isn't registered, or
            contains code or no model; the message begins with its setting, `argument`.
    """
    given = f"`{argument}={path}`"
    check_keras_file(path, given)
    try:
        model = _load(path)
    except Exception as error:  # damaged files raise many kinds of errors
        raise InputError(f"{given}: can't be loaded ({cause_of(error)})") from error
    if not isinstance(model, keras.Model):
        raise InputError(
            f"{given}: holds the layer {type(model).__name__}; it must hold a keras.Model"
        )
    return model


def read_trained(path, argument: str) -> keras.Model:
    """As `read_model`; an InputError also if a weight isn't finite."""
    model = read_model(path, argument)
    if name := not_finite(model):
        raise InputError(
            f"`{argument}={path}`: the weight {name} holds NaN or infinity; name a trained model"
        )
    return model


def read_as(path: pathlib.Path, kind: type, remedy: str) -> keras.Model:
    """Reads a run's own .keras file in safe mode: a `kind`, else an InputError with `remedy`."""
    try:
        model = _load(path)
    except Exception as error:  # damaged files raise many kinds of errors
        raise InputError(f"{path} can't be read ({cause_of(error)}); {remedy}") from error
    if not isinstance(model, kind):
        raise InputError(f"{path} holds a {type(model).__name__}, not a {kind.__name__}; {remedy}")
    if name := not_finite(model):
        raise InputError(f"{path}: the weight {name} holds NaN or infinity; {remedy}")
    return model


def check_keras_file(path, given: str) -> None:
    """Checks that a .keras file is a zip archive that is no larger than it seems.

    Raises:
        InputError: it isn't; the message begins with `given`.
    """
    check_file(given, path, "name a .keras file")
    if not zipfile.is_zipfile(path):
        raise InputError(f"{given}: is no .keras file, or damaged; {_AGAIN}")
    check_archive(given, path, _AGAIN)
    for name, size, stored in _datasets(path):
        check_growth(f"{given}: the weight {name}", size, stored, _AGAIN)


def not_finite(model) -> str | None:
    """The path of the first weight that holds NaN or infinity, if any."""
    for variable in model.variables:
        if keras.backend.is_float_dtype(variable.dtype):
            value = keras.ops.convert_to_numpy(variable.value).astype("float32")
            if not np.isfinite(value).all():
                return variable.path
    return None


def _load(path):
    # From Python 3.13 on, readers that seek, as h5py does, skip the checksums.
    with open_file(path) as file, zipfile.ZipFile(file) as archive:
        if damaged := archive.testzip():
            raise zipfile.BadZipFile(f"Bad CRC-32 for file {damaged!r}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is missing in a damaged file
        return keras.models.load_model(path, compile=False, safe_mode=True)


def _datasets(path) -> list[tuple[str, int, int]]:
    """The weights in a .keras file: their names, bytes, and bytes that are stored of them."""
    import h5py

    found = []

    def note(name: str, item) -> None:
        if isinstance(item, h5py.Dataset):
            found.append((name, item.nbytes, item.id.get_storage_size()))

    try:
        with (
            open_file(path) as file,
            zipfile.ZipFile(file) as archive,
            archive.open(_WEIGHTS) as member,
            h5py.File(member, "r") as weights,
        ):
            weights.visititems(note)
    except Exception:  # loading it will tell the cause
        return []
    return found
