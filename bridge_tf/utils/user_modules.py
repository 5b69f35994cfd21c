"""Imports of modules that the user names."""

import importlib
import os
import sys
from collections.abc import Sequence

from bridge_tf.utils.errors import InputError, reason


def import_modules(names: Sequence[str]) -> None:
    """Imports modules, also from the current directory; an InputError if one can't be imported."""
    for name in names:
        sys.path.insert(0, os.getcwd())
        try:
            importlib.import_module(name)
        except (Exception, SystemExit) as error:  # the user's code may raise any error
            raise InputError(
                f"`imports={name}`: can't be imported ({reason(error)}); name a Python module"
            ) from error
        finally:
            sys.path.pop(0)
