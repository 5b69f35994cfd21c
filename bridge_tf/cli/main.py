"""bridge-tf: one command; each subcommand has its own module."""

import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from bridge_tf.cli.command import Command
from bridge_tf.cli.exits import exiting
from bridge_tf.cli.flags import Flags
from bridge_tf.cli.help import HELP, HELP_FULL, command_help
from bridge_tf.cli.messages import messages_on_terminal
from bridge_tf.utils import signals
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.terminal import open_closed_streams, usable_output

COMMANDS = {
    "train": "Train modes, curves and bridges, evaluate them, and export the ensemble.",
    "evaluate": "Evaluate a finished run again and write its report.",
    "export": "Export a finished run as SavedModel and TFLite.",
    "calibrate": "Calibrate a finished ensemble on other images, without training.",
    "compress": "Compress the exported file of a finished run.",
    "predict": "Predict the classes of image files.",
    "benchmark": "Time training steps or exported files.",
    "study": "Train more bridges on a finished run, to compare their settings.",
    "demo": "Run an exported model in the browser.",
}


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Runs a subcommand and exits with its status (see `bridge_tf.cli.exits`).

    `argv` defaults to the process's arguments. One process may call it many times: flags, signal
    handlers, log handlers and warning filters belong to a single call.
    """
    open_closed_streams()
    name, *arguments = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if name in COMMANDS:
        run_command(name, importlib.import_module(f"{__package__}.{name}").COMMAND, arguments)
    with exiting("bridge-tf"), usable_output():
        if name not in (*HELP, HELP_FULL):
            near = difflib.get_close_matches(name, COMMANDS, 1)
            known = f"nearest: {near[0]}" if near else f"name one of {', '.join(COMMANDS)}"
            raise InputError(f"no subcommand '{name}'; {known}")
        print(_usage())


def run_command(name: str, command: Command, arguments: Sequence[str]) -> NoReturn:
    """Runs a subcommand and exits with its status."""
    # TensorFlow logs missing accelerators as errors when it starts.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    title, flags = f"bridge-tf {name}", Flags(command.options, command.settings)
    again = "; what is done is kept, run it again to go on" if command.resumable else ""
    with (
        signals.graceful(message=f"{title}: interrupted{again}"),
        exiting(title, flags.in_words, command.resumable),
        usable_output(),
    ):
        if {*HELP, HELP_FULL} & set(arguments):
            print(command_help(command.usage, flags, full=HELP_FULL in arguments))
        else:
            flags.parse(arguments, positional=command.takes_arguments)
            with messages_on_terminal(flags.verbosity, flags.in_words):
                command.run(flags)


def _usage() -> str:
    width = max(map(len, COMMANDS))
    listed = "\n".join(f"  {name:{width}}  {what}" for name, what in COMMANDS.items())
    return (
        "Trains bridge ensembles, measures and exports them.\n\n"
        f"    bridge-tf COMMAND --FLAG=VALUE…\n\nCommands:\n\n{listed}\n\n"
        "bridge-tf COMMAND --help lists the flags of a command."
    )
