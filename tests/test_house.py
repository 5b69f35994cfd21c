"""The structure that CONTRIBUTING.md promises: rooms, small files, classes that load by name."""

import ast
import configparser
import importlib
import statistics
import subprocess
import sys

import pytest

import bridge_tf
from tests.conftest import REPOSITORY

PACKAGE = REPOSITORY / "bridge_tf"
FILES = sorted(PACKAGE.rglob("*.py"))
SAVE_AND_LOAD = """
import sys
import keras
import bridge_tf
model = keras.models.load_model(sys.argv[1], safe_mode=True)
print(model.count_params())
"""


def lines(path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def test_at_most_18_entries_at_the_top():
    entries = {path.name for path in PACKAGE.iterdir()} - {"__pycache__"}
    assert len(entries) <= 18, entries


def test_files_are_small():
    tests = (REPOSITORY / "tests").rglob("*.py")
    assert [str(path) for path in [*FILES, *tests] if lines(path) > 300] == []
    assert statistics.median(map(lines, FILES)) <= 130


def test_no_import_is_excepted_from_the_layers():
    contracts = configparser.ConfigParser()
    contracts.read(REPOSITORY / ".importlinter")
    assert contracts.sections()
    for section in contracts.sections():
        assert "ignore_imports" not in contracts[section]


def test_scripts_import_what_there_is():
    scripts = [*(REPOSITORY / "docs").rglob("*.py"), *(REPOSITORY / "benchmarks").rglob("*.py")]
    assert len(scripts) > 10
    for path in scripts:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            module = getattr(node, "module", None) or ""
            if isinstance(node, ast.ImportFrom) and module.split(".")[0] == "bridge_tf":
                for name in (alias.name for alias in node.names):
                    if not hasattr(importlib.import_module(module), name):
                        importlib.import_module(f"{module}.{name}")


def test_every_saved_class_is_registered_before_its_module_is_imported():
    registered = {}
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and any(
                "register_keras_serializable" in ast.unparse(decorator)
                for decorator in node.decorator_list
            ):
                module = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
                registered[node.name] = module
    assert registered == bridge_tf._SAVED


@pytest.mark.integration
def test_a_saved_model_loads_after_the_import_alone(build, tmp_path):
    model = build("frn")
    model.save(tmp_path / "model.keras")
    command = [sys.executable, "-c", SAVE_AND_LOAD, str(tmp_path / "model.keras")]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(found.stdout) == model.count_params()
