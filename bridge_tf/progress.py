"""Progress of long stages, on standard error."""

import sys
from collections.abc import Iterator, Sequence

import rich.progress
from rich.console import Console


def say(text: str) -> None:
    """One line of progress."""
    print(text, file=sys.stderr, flush=True)


def track(title: str, things: Sequence) -> Iterator:
    """Goes through `things`, with a bar on a terminal; elsewhere one line when it begins."""
    console = Console(stderr=True)
    if not console.is_terminal:
        say(title)
    yield from rich.progress.track(
        things, title, console=console, disable=not console.is_terminal, transient=True
    )
