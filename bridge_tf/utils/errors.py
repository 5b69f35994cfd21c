"""Errors that a user can mend."""


class InputError(ValueError):
    """A file or an argument is wrong.

    The message is one line that names the file or argument, says what is wrong and
    what would be right. Commands print it and leave with status 2.
    """


class TrainingError(RuntimeError):
    """A training that can't go on, for example because its loss is not finite."""


class ParityError(RuntimeError):
    """An exported file doesn't answer as the Keras model does."""


def reason(error: Exception) -> str:
    """What an error says, in one line of at most 200 characters; if it says nothing, its class."""
    return " ".join(str(error).split())[:200] or type(error).__name__
