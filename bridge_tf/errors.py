"""Errors that a user can mend."""


class InputError(ValueError):
    """A flag, file or argument is wrong.

    The message is one line that names the flag, file or argument, says what is wrong and
    what would be right. Commands print it and leave with status 2.
    """
