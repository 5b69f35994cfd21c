"""config.json of a work directory: the settings of its run, as resolved."""

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
    """The content of a config.json; `Config` checks the settings.

    Args:
        remedy: what to do about a wrong one, for the message.

    Raises:
        InputError: it can't be read or isn't such a file.
    """
    return read_json(path, _SCHEMA, "a configuration", remedy)
