"""What a subcommand is, and the flags that several have."""

import dataclasses
from collections.abc import Callable

from bridge_tf.cli.flags import Flags
from bridge_tf.config.validation import setting
from bridge_tf.utils.errors import InputError


@dataclasses.dataclass(frozen=True)
class Command:
    """A subcommand.

    Attributes:
        usage: what --help prints above the flags.
        run: takes the parsed flags.
        options: a dataclass of `setting`s, its own flags.
        settings: the names of the fields of `Config` that are flags of it, too; None: all.
        takes_arguments: whether it has arguments that are no flags.
        resumable: whether it continues an interrupted run when it is run again.
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
    data_dir: str = setting("", "Folder of prepared TensorFlow Datasets; default: as trained.")


@dataclasses.dataclass(frozen=True)
class Writer:
    """What writes to a work directory."""

    wait: bool = setting(False, "Wait while another process uses the work directory.")


def required(name: str, value: str) -> str:
    """The value of a flag that must name a folder.

    Raises:
        InputError: it is empty.
    """
    if not value:
        raise InputError(f"`{name}`: missing; name a folder, as in `{name}=DIR`")
    return value


def some_of(name: str, values: tuple[str, ...], choices: tuple[str, ...]) -> list[str]:
    """The values of a flag that must name one or more, each once.

    Raises:
        InputError: it is empty.
    """
    if not values:
        raise InputError(f"`{name}=`: must be one or more of {', '.join(choices)}")
    return list(dict.fromkeys(values))
