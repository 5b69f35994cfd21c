"""The existing run of a subcommand."""

import contextlib
import dataclasses
import importlib
import logging

from bridge_tf.cli.command import required
from bridge_tf.cli.flags import Flags
from bridge_tf.config import STAGES, Config
from bridge_tf.config.estimates import check_size
from bridge_tf.utils import signals
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.terminal import quiet_stderr
from bridge_tf.utils.user_modules import import_modules


def existing_run(flags: Flags, stages=STAGES, workdir: str = "", **changes):
    """The run in --workdir, with its own configuration except for `changes`.

    `workdir` replaces that of the flags.

    Raises:
        InputError: there is no run, or its configuration has `imports` that the command line
            doesn't: a file from an unknown source must not make a command run code.
    """
    options = flags.options
    workdir = workdir or required("workdir", options.workdir)
    if getattr(options, "data_dir", ""):
        changes["data_dir"] = options.data_dir
    from bridge_tf.runs.work_dir import WorkDir

    config = WorkDir(workdir).read_config()
    given = flags.given(["imports"]).get("imports", ())
    if any(name not in given for name in config.imports):
        names = ",".join(map(str, config.imports))
        it = "it" if len(config.imports) == 1 else "them"
        raise InputError(
            f"`workdir`: the run imports {names.replace(',', ', ')}; if you trust {it}, name {it} "
            f"again by `imports={names}`"
        )
    config = dataclasses.replace(config, imports=given, **changes)
    return run_of(config, workdir, stages=stages, wait=getattr(options, "wait", False))


def run_of(config: Config, workdir: str, **options):
    """The `Run` of `config` in `workdir`, with its options; imports TensorFlow first.

    Raises:
        InputError: its settings would take more memory than there is.
    """
    check_size(config)
    import_keras()
    import_modules(config.imports)
    with signals.at_once():
        from bridge_tf.runs.context import Run

    return Run(config, workdir, **options)


def import_keras() -> None:
    """Imports Keras and its backend; hides their messages unless --verbosity asks for them."""
    talkative = logging.getLogger().isEnabledFor(logging.INFO)
    with signals.at_once(), contextlib.nullcontext() if talkative else quiet_stderr():
        importlib.import_module("keras")
