"""config.json of a work directory: the resolved settings of its run."""

import pathlib
from typing import Any

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from bridge_tf.utils.json_files import Text, read_json


class ConfigFile(TypedDict):
    flags: dict[str, Any]
    versions: dict[str, Text]
    fingerprint: Text


_SCHEMA = TypeAdapter(ConfigFile)


def read_config_file(path: pathlib.Path, remedy: str) -> dict:
    """Reads a config.json; an InputError that ends with `remedy` if it is invalid."""
    return read_json(path, _SCHEMA, "a configuration", remedy)
