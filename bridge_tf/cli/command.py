"""The parts of a subcommand, and flags of several subcommands."""

import dataclasses
import json
import math
from collections.abc import Callable

from bridge_tf.cli.flags import Flags
from bridge_tf.config.validation import setting
from bridge_tf.utils.errors import InputError


@dataclasses.dataclass(frozen=True)
class Command:
    """A subcommand.

    Attributes:
        usage: text of --help above the flags.
        options: a dataclass of `setting`s, the subcommand's own flags.
        settings: names of the fields of `Config` that are also flags; None: all.
        takes_arguments: whether it takes arguments besides flags.
        resumable: whether a rerun resumes an interrupted run.
    """

    usage: str
    run: Callable[[Flags], None]
    options: type
    settings: tuple[str, ...] | None = ()
    takes_arguments: bool = False
    resumable: bool = False


@dataclasses.dataclass(frozen=True)
class FinishedRun:
    """The run."""

    workdir: str = setting("", "Folder of a finished run.")
    data_dir: str = setting(
        "", "Folder of prepared TensorFlow Datasets; default: that of the training."
    )


@dataclasses.dataclass(frozen=True)
class Writer:
    """The flags of a subcommand that writes to a work directory."""

    wait: bool = setting(False, "Wait until no other process uses the work directory.")


def required(name: str, value: str) -> str:
    """The value of a flag that must name a folder; InputError if it is empty."""
    if not value:
        raise InputError(f"`{name}`: missing; name a folder, as in `{name}=DIR`")
    return value


def some_of(name: str, values: tuple[str, ...], choices: tuple[str, ...]) -> list[str]:
    """The values of a flag without repetitions; InputError if there are none."""
    if not values:
        raise InputError(f"`{name}=`: must be one or more of {', '.join(choices)}")
    return list(dict.fromkeys(values))


def print_json(row: dict) -> None:
    """Prints an object in a line of valid JSON: numbers that aren't finite become null."""
    print(json.dumps(_finite(row), allow_nan=False), flush=True)


def _finite(value: object) -> object:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
