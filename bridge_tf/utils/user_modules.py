"""Importing the modules that a user names."""

import importlib
import os
import sys
from collections.abc import Sequence

from bridge_tf.utils.errors import InputError, reason


def import_modules(names: Sequence[str]) -> None:
    """Imports modules by name, from the current directory too.

    Raises:
        InputError: one can't be imported.
    """
    for name in names:
        sys.path.insert(0, os.getcwd())
        try:
            importlib.import_module(name)
        except Exception as error:  # raised by the user's own code
            raise InputError(
                f"`imports={name}`: can't be imported ({reason(error)}); name a Python module"
            ) from error
        finally:
            sys.path.pop(0)
