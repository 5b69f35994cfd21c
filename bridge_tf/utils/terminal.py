"""Progress of long stages, on standard error; none at --verbosity=-2 or lower."""

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence

import rich.progress
from absl import logging
from rich.console import Console


def silent() -> bool:
    """Whether only errors are to be shown; without absl's flags they aren't all."""
    return logging.get_verbosity() < logging.WARNING


_listener: Callable[[str], None] | None = None


def say(text: str) -> None:
    """One line of progress, or a warning."""
    if _listener is not None:
        _listener(text)
    elif not silent():
        print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def told_to(listener: Callable[[str], None]) -> Iterator[None]:
    """While the block runs, lines of progress go to `listener`, and nowhere else."""
    global _listener
    earlier, _listener = _listener, listener
    try:
        yield
    finally:
        _listener = earlier


def shows_bars(console: Console) -> bool:
    """Whether bars can be drawn, and are wanted, on a console.

    What rich takes for a terminal may be a file, if FORCE_COLOR is set.
    """
    drawn = console.file.isatty() and console.is_terminal and not console.is_dumb_terminal
    return drawn and not silent()


def track(title: str, things: Sequence) -> Iterator:
    """Goes through `things`, with a bar on a terminal; elsewhere one line when it begins."""
    console = Console(stderr=True)
    bar = shows_bars(console)
    if not bar:
        say(title)
    yield from rich.progress.track(things, title, console=console, disable=not bar, transient=True)
