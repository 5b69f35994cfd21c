"""The flags of a subcommand, in groups: one dataclass of settings for each group."""

import dataclasses
import os
import re
import stat
from collections.abc import Sequence
from typing import NamedTuple

from absl import flags

from bridge_tf.config import Config
from bridge_tf.config.execution import ExecutionSettings
from bridge_tf.config.validation import check_setting, setting
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.paths import shown

_DEFINE = {
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    float | None: flags.DEFINE_float,
    str: flags.DEFINE_string,
    bool: flags.DEFINE_bool,
    list[str]: flags.DEFINE_list,
    list[float]: flags.DEFINE_list,
}
# Flags of `train` in messages of other commands.
_OF_TRAIN = ("repair", "stages")
_LARGEST_FLAGFILE = 1_000_000


@dataclasses.dataclass(frozen=True)
class Common:
    """Every command."""

    flagfile: str = setting(
        "", "File with one flag on each line; later flags on the command line override it."
    )
    verbosity: int = setting(
        -1,
        "Messages to show: -2 only errors, -1 also warnings and progress, 0 also information, 1 "
        "also debugging.",
    )


class Group(NamedTuple):
    """Flags under one heading of --help."""

    heading: str
    fields: list[dataclasses.Field]
    rarely_needed: bool  # for clusters and several devices: only --helpfull shows it


class Flags:
    """The flags of one call of a subcommand, with their values, and its other `arguments`.

    `options` and `settings` are those of its `Command`.
    """

    def __init__(self, options: type, settings: Sequence[str] | None = ()):
        self._options = options
        self._flags = flags.FlagValues()
        self.arguments: list[str] = []
        self.groups = [
            group
            for of in (options, *reversed(Config.__bases__), Common)
            if (group := _group(of, settings if issubclass(Config, of) else None)).fields
        ]
        for group in self.groups:
            for field in group.fields:
                self._define(field)

    def parse(self, arguments: Sequence[str], positional: bool = False) -> None:
        """Reads the command line; `positional` allows arguments besides flags.

        Raises:
            InputError: the command line is invalid.
        """
        _check_flagfiles(arguments)
        try:
            _, *self.arguments = self._flags(["bridge-tf", *arguments])
        except flags.UnrecognizedFlagError as error:
            raise InputError(f"{error}; --help lists the flags") from error
        except flags.CantOpenFlagFileError as error:
            what = str(error).rpartition("] ")[2]
            raise InputError(f"`flagfile`: {what}; name a file of flags") from error
        except UnicodeDecodeError as error:
            raise InputError(
                f"`flagfile`: is no text in UTF-8 ({error}); name a file of flags"
            ) from error
        except (flags.Error, ValueError) as error:
            raise InputError(_plain(str(error))) from error
        if self.arguments and not positional:
            raise InputError(
                f"'{self.arguments[0]}' is no flag; every setting is given as --NAME=VALUE"
            )

    @property
    def verbosity(self) -> int:
        return self._flags["verbosity"].value

    @property
    def options(self):
        """The subcommand's own flags in their dataclass; InputError if one is out of range."""
        values = {field.name: self._value(field) for field in dataclasses.fields(self._options)}
        for field in dataclasses.fields(self._options):
            check_setting(field, values[field.name])
        return self._options(**values)

    def config(self, names: Sequence[str] | None = None) -> Config:
        """The configuration of all flags, or of the named ones; InputError if one is invalid."""
        found = [field for field in dataclasses.fields(Config) if not names or field.name in names]
        return Config(**{field.name: self._value(field) for field in found})

    def given(self, names: Sequence[str]) -> dict:
        """The values of the named flags that are on the command line."""
        found = [field for field in dataclasses.fields(Config) if field.name in names]
        return {field.name: self._value(field) for field in found if self.is_given(field.name)}

    def is_given(self, name: str) -> bool:
        return bool(self._flags[name].present)

    def in_words(self, message: str) -> str:
        """Rewrites settings in a message of the library as flags: `width=2` becomes --width=2."""
        settings = {field.name for field in dataclasses.fields(Config)}
        names = "|".join({*self._flags, *settings, *_OF_TRAIN})
        return re.sub(rf"`((?:{names})(?:=.*?)?)`(?![^\s:;,.)\]])", r"--\1", message, flags=re.S)

    def _define(self, field: dataclasses.Field) -> None:
        name, help_text = field.name, field.metadata["help"]
        choices, default = field.metadata.get("choices"), field.default
        if choices and field.type is str:
            flags.DEFINE_enum(name, default, choices, help_text, flag_values=self._flags)
            return
        if isinstance(default, tuple):
            default = [str(item) for item in default]
        _DEFINE[field.type](name, default, help_text, flag_values=self._flags)

    def _value(self, field: dataclasses.Field):
        value = self._flags[field.name].value
        if field.type == list[float]:
            try:
                return tuple(map(float, value))
            except ValueError as error:
                raise InputError(
                    f"`{field.name}={','.join(value)}`: must be numbers between commas"
                ) from error
        return tuple(value) if field.type == list[str] else value


def _plain(message: str) -> str:
    """An error of absl, in which Python's own words for numbers are put plainly."""
    message = re.sub(r"invalid literal for int\(\).*", "must be a whole number", message)
    return re.sub(r"could not convert string to float.*", "must be a number", message)


def _check_flagfiles(arguments: Sequence[str]) -> None:
    """Refuses flagfiles that would never end; FIFOs pass, as in --flagfile=<(…)."""
    right = "name a file of flags"
    for before, argument in zip(["", *arguments], arguments, strict=False):
        name, equals, path = argument.lstrip("-").partition("=")
        if before.lstrip("-") == "flagfile" and before.startswith("-") and "=" not in before:
            path = argument
        elif name != "flagfile" or not equals or not argument.startswith("-"):
            continue
        try:
            found = os.stat(path)
        except ValueError as error:
            raise InputError(f"`flagfile`: no file can have this name; {right}") from error
        except OSError:  # opening it tells the reason
            continue
        if stat.S_ISREG(found.st_mode) and found.st_size > _LARGEST_FLAGFILE:
            raise InputError(f"`flagfile={shown(path)}`: has more than 1 MB; {right}")
        if stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode):
            raise InputError(f"`flagfile={shown(path)}`: is a device, no file; {right}")


def _group(of: type, names: Sequence[str] | None) -> Group:
    fields = [field for field in dataclasses.fields(of) if names is None or field.name in names]
    return Group(of.__doc__.partition("\n")[0].rstrip("."), fields, of is ExecutionSettings)
