"""Errors that a user can fix."""

import unicodedata

_CONTROLS = ("Cc", "Cs", "Zl", "Zp")  # control characters, lone surrogates, separators of lines


class InputError(ValueError):
    """A file or an argument is invalid; commands print the message and exit with status 2.

    The message is one line: what is invalid, what is wrong with it, and what would be right.

    Example::

        try:
            bridge_tf.build_bridge(modes[0], taps="no_such_layer")
        except bridge_tf.InputError as error:
            print(error)
    """


class TrainingError(RuntimeError):
    """A training can't continue, for example because its loss is not finite.

    Example::

        try:
            bridge_tf.fit_mode(network, (images, labels), recipe, batch_size=8)
        except bridge_tf.TrainingError as error:
            print(error)
    """


class ParityError(RuntimeError):
    """An exported file and the Keras model give different predictions.

    Example::

        try:
            bridge_tf.export(ensemble, "saved_models", "mine", images)
        except bridge_tf.ParityError as error:
            print(error)
    """


def reason(error: Exception) -> str:
    """The message of an error, or its class: one line of at most 200 characters."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def without_controls(text: str) -> str:
    """A text with ? for what could end a line or steer a terminal."""
    return "".join("?" if unicodedata.category(c) in _CONTROLS else c for c in text)
