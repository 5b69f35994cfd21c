"""Keeping TensorFlow out: of modules, and of processes."""

import ast
import configparser
import pathlib
import re

from tests.conftest import REPOSITORY

# Put before a program: importing TensorFlow fails in it.
FORBIDDEN = """
import importlib.abc, sys

class NoTensorFlow(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "tensorflow":
            raise ModuleNotFoundError(f"No module named {name!r}")

sys.meta_path.insert(0, NoTensorFlow())
"""


def imported(path: pathlib.Path) -> list[str]:
    """The modules that a file imports, wherever in it."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names.append(node.module)
    return names


def modules() -> dict[str, pathlib.Path]:
    """All modules of the package, by name."""
    found = {}
    for path in (REPOSITORY / "bridge_tf").rglob("*.py"):
        parts = path.relative_to(REPOSITORY).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


def heart() -> list[str]:
    """The modules that the contract of that name in .importlinter forbids to import TensorFlow."""
    contracts = configparser.ConfigParser()
    contracts.read(REPOSITORY / ".importlinter", encoding="utf-8")
    given = contracts["importlinter:contract:heart"]["source_modules"].split()
    patterns = [re.escape(name).replace(r"\*\*", ".+").replace(r"\*", "[^.]+") for name in given]
    return sorted(name for name in modules() if re.fullmatch("|".join(patterns), name))
