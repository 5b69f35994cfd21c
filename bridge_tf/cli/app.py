"""What every command shares: flags, help and exit status."""

import contextlib
import dataclasses
import errno
import importlib
import logging as std_logging
import os
import sys
import warnings
from collections.abc import Callable, Sequence

from absl import app, flags, logging

from bridge_tf.config import Config
from bridge_tf.utils import signals
from bridge_tf.utils.errors import InputError, ParityError, TrainingError
from bridge_tf.utils.quiet import quiet_stderr
from bridge_tf.utils.terminal import silent
from bridge_tf.utils.user_modules import import_modules

_DEFINE = {
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    float | None: flags.DEFINE_float,
    str: flags.DEFINE_string,
    bool: flags.DEFINE_bool,
    list[str]: flags.DEFINE_list,
    list[float]: flags.DEFINE_list,
}


_COMMON = """\
  --flagfile: File with one flag a line; flags that follow it on the command line win.
  --verbosity: Messages to show: -2 errors alone, -1 warnings and progress too, 0 information,
    1 debugging. (default: '-1')
  --help: Show this."""

_KEPT = "; what is done is kept"
_DISK_FULL = ("No space left on device", "Disk quota exceeded")


def define_config_flags(names: tuple[str, ...] = ()) -> None:
    """Defines a flag for each field of `Config`, or for the named ones."""
    for field in dataclasses.fields(Config):
        if names and field.name not in names:
            continue
        default = field.default
        if isinstance(default, tuple):
            default = [str(item) for item in default]
        _DEFINE[field.type](field.name, default, field.metadata["help"], module_name=sys.argv[0])


def config_from_flags() -> Config:
    """The configuration that the flags give.

    Raises:
        InputError: a value is out of its range.
    """
    values = {}
    for field in dataclasses.fields(Config):
        is_numbers = field.type == list[float]
        values[field.name] = numbers(field.name) if is_numbers else flags.FLAGS[field.name].value
    return Config(**values)


def given_settings(names: Sequence[str]) -> dict:
    """The values of those flags that were given, of the named fields of `Config`."""
    return {name: flags.FLAGS[name].value for name in names if flags.FLAGS[name].present}


def numbers(name: str) -> list[float]:
    """The value of a flag that is a list of numbers.

    Raises:
        InputError: it isn't.
    """
    value = flags.FLAGS[name].value
    try:
        return [float(item) for item in value]
    except ValueError as error:
        raise InputError(f"--{name}={','.join(value)}: must be numbers between commas") from error


def define_workdir_flags() -> None:
    """Defines the flags of commands that work on a finished run."""
    module = sys.argv[0]
    flags.DEFINE_string("workdir", "", "Folder of a finished run.", module_name=module)
    flags.DEFINE_string(
        "data_dir",
        "",
        "Folder of prepared TensorFlow Datasets; default: as trained.",
        module_name=module,
    )
    define_config_flags(("imports",))


def define_wait_flag() -> None:
    """Defines the flag of commands that write to a work directory."""
    flags.DEFINE_bool(
        "wait",
        False,
        "Wait while another process uses the work directory.",
        module_name=sys.argv[0],
    )


def existing_run(**changes):
    """The pipeline of the run in --workdir, with its own configuration.

    Args:
        **changes: settings to replace.

    Raises:
        InputError: there is none, or it imports modules that --imports doesn't name: a file that
            may come from anywhere must not make a command run code.
    """
    workdir = required("workdir")
    if flags.FLAGS.data_dir:
        changes["data_dir"] = flags.FLAGS.data_dir
    from bridge_tf.runs.work_dir import WorkDir

    config = WorkDir(workdir).read_config()
    given = flags.FLAGS.imports
    if any(name not in given for name in config.imports):
        names = [str(name) for name in config.imports]
        it = "it" if len(names) == 1 else "them"
        raise InputError(
            f"--workdir: the run imports {', '.join(names)}; if you trust {it}, name {it} again "
            f"by --imports={','.join(names)}"
        )
    return pipeline(dataclasses.replace(config, imports=given, **changes), workdir)


def pipeline(config: Config, workdir: str):
    """The `Pipeline` of `config` in `workdir`, once TensorFlow is imported."""
    import_keras()
    import_modules(config.imports)
    with signals.at_once():
        from bridge_tf.runs.runner import Pipeline

    asked = [name for name in ("wait", "repair") if name in flags.FLAGS and flags.FLAGS[name].value]
    return Pipeline(config, workdir, **dict.fromkeys(asked, True))


def chosen(name: str, known: Sequence[str]) -> list[str]:
    """The value of a flag that names one or more of the `known`.

    Raises:
        InputError: it names none or another.
    """
    value = flags.FLAGS[name].value
    if not value or set(value) - set(known):
        raise InputError(f"--{name}={','.join(value)}: name one or more of {', '.join(known)}")
    return value


def required(name: str) -> str:
    """The value of a flag that must be given."""
    value = flags.FLAGS[name].value
    if not value:
        raise InputError(f"--{name}: missing; name a folder, as in --{name}=DIR")
    return value


def no_arguments(arguments: list[str]) -> None:
    """Refuses arguments that are no flags."""
    if arguments:
        raise InputError(f"'{arguments[0]}' is no flag; every setting is given as --NAME=VALUE")


def import_keras() -> None:
    """Imports Keras and its backend, quietly unless --verbosity asks for information."""
    talkative = logging.get_verbosity() > logging.WARNING
    with signals.at_once(), contextlib.nullcontext() if talkative else quiet_stderr():
        importlib.import_module("keras")


def run(main: Callable[[list[str]], None], usage: str, resumable: bool = False) -> None:
    """Runs a command and leaves with its exit status.

    0: done. 2: bad usage or bad input, with one line on standard error. 1: any other failure.
    128 + the number of a signal: SIGINT or SIGTERM, with one line on standard error.

    Args:
        main: takes the arguments that are no flags.
        usage: what --help prints above the flags.
        resumable: whether it goes on where it was when it is run again.
    """
    # TensorFlow's start-up messages, about accelerators that it doesn't find, are errors to it.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

    def parsed(argv):
        if {"--help", "-h", "-help", "--helpfull", "--helpshort"} & set(argv[1:]):
            own = flags.FLAGS.flags_by_module_dict()[sys.argv[0]]
            print(f"{usage.strip()}\n\nFlags:\n")
            print("\n".join(_help(flag) for flag in own))
            print(f"\n{_COMMON}", flush=True)
            sys.exit(0)
        # Assigned, not set as the default, which absl's app.run replaces.
        flags.FLAGS.verbosity = logging.WARNING
        try:
            return flags.FLAGS(argv)
        except flags.UnrecognizedFlagError as error:
            _leave(f"{error}; --help lists the flags")
        except flags.CantOpenFlagFileError as error:
            _leave(f"--flagfile: {str(error).rpartition('] ')[2]}; name a file of flags")
        except UnicodeDecodeError as error:
            _leave(f"--flagfile: is no text in UTF-8 ({error}); name a file of flags")
        except flags.Error as error:
            _leave(str(error))

    def guarded(argv):
        if silent():
            warnings.simplefilter("ignore")
        if logging.get_verbosity() <= logging.WARNING:
            # Its warnings (of retracing, of names it changes) tell a user nothing.
            std_logging.getLogger("tensorflow").setLevel(std_logging.ERROR)
        try:
            main(argv[1:])
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except Exception as error:
            if signals.requested():
                # Native code makes an error of its own of an interruption.
                raise signals.Interrupted(signals.requested()) from error
            if full := _full_disk(error):
                again = f"{_KEPT}: free" if resumable else "; free"
                _leave(f"{full}{again} some space and run it again", status=1)
            if isinstance(error, InputError):
                _leave(str(error))
            if isinstance(error, ParityError | TrainingError):
                _leave(str(error), status=1)
            raise

    again = f"{_KEPT}, run it again to go on" if resumable else ""
    with signals.graceful(message=f"{_command()}: interrupted{again}"):
        try:
            app.run(guarded, flags_parser=parsed)
        except signals.Interrupted as error:
            signals.leave(error.signum)
        except BrokenPipeError:
            # Who reads the results has left, as `head` does; Python would fail once more at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)


def _help(flag) -> str:
    default = "" if flag.default in (None, "", []) else f" (default: {flag.default_as_str})"
    return f"  --{flag.name}: {flag.help}{default}"


def _full_disk(error: BaseException | None) -> str | None:
    """What to say of an error that comes from a full disk; None of others."""
    while error is not None:
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        if full or any(words in str(error) for words in _DISK_FULL):
            path = getattr(error, "filename", None)
            return f"the disk is full ({path})" if isinstance(path, str) else "the disk is full"
        error = error.__cause__ or error.__context__
    return None


def _command() -> str:
    return os.path.basename(sys.argv[0])


def _leave(message: str, status: int = 2) -> None:
    print(f"{_command()}: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(status)
