"""Errors that a user can fix."""

import unicodedata

_CONTROLS = ("Cc", "Cs", "Zl", "Zp")  # control characters, lone surrogates, separators of lines


class InputError(ValueError):
    """A file or an argument is invalid; commands print the message and exit with status 2.

    The message is one line: what is invalid, what is wrong with it, and what would be right.
    """


class TrainingError(RuntimeError):
    """A training can't continue, for example because its loss is not finite."""


class ParityError(RuntimeError):
    """An exported file and the Keras model give different predictions."""


def reason(error: Exception) -> str:
    """The message of an error, or its class: one line of at most 200 characters."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def without_controls(text: str) -> str:
    """A text with ? for what could end a line or steer a terminal."""
    return "".join("?" if unicodedata.category(c) in _CONTROLS else c for c in text)
