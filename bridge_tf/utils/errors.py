"""Errors that a user can fix."""


class InputError(ValueError):
    """A file or an argument is invalid.

    The message is one line: it names the file or argument, says what is wrong, and what would be
    right. Commands print it and exit with status 2.
    """


class TrainingError(RuntimeError):
    """A training can't continue, for example because its loss is not finite."""


class ParityError(RuntimeError):
    """An exported file and the Keras model give different predictions."""


def reason(error: Exception) -> str:
    """The message of an error, or its class: one line of at most 200 characters."""
    return " ".join(str(error).split())[:200] or type(error).__name__
