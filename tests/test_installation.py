"""What setup.cfg declares, and what installing the wheel does to an environment that is there."""

import configparser
import importlib.metadata
import os
import re
import subprocess
import sys

import pytest

from bridge_tf import BridgeEnsemble, InputError, export
from bridge_tf.utils.extras import EXTRAS, import_extra
from tests.conftest import REPOSITORY
from tests.extras import needs
from tests.without_tensorflow import imported, modules

SETUP = configparser.ConfigParser()
SETUP.read(REPOSITORY / "setup.cfg", encoding="utf-8")
# Declared and not imported: TensorFlow Datasets needs the two.
NOT_IMPORTED = {"importlib-resources", "tensorflow-metadata"}
USES_EVERYTHING = """
import importlib.metadata, keras
import bridge_tf
import ai_edge_litert.interpreter, tensorflow_datasets
tensorflow_datasets.features.Image
network = bridge_tf.build_network("resnet8", (8, 8, 1), 10)
print(bridge_tf.BridgeEnsemble(network, [bridge_tf.build_bridge(network, "stage2_block1", 0.5)]))
"""


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def names(text: str) -> set[str]:
    """The distributions in a list of requirements."""
    return {normalized(re.match(r"[\w.-]+", line)[0]) for line in text.split("\n") if line}


def extras() -> dict[str, set[str]]:
    return {name: names(text) for name, text in SETUP["options.extras_require"].items()}


@needs(*EXTRAS)
def test_all_that_is_imported_is_declared_and_all_that_is_declared_is_imported():
    owners = importlib.metadata.packages_distributions()
    roots = {name.partition(".")[0] for path in modules().values() for name in imported(path)}
    # protobuf comes with the messages that are read by it.
    roots -= {*sys.stdlib_module_names, "bridge_tf", "google"}
    found = extras()
    declared = names(SETUP["options"]["install_requires"]).union(
        *(found[extra] for extra in ("compress", "serving", "jax", "onnx", "ray"))
    )
    used = {normalized(owners[root][0]) for root in roots}
    assert used <= declared
    assert declared - used == NOT_IMPORTED


def test_extras_are_those_of_the_messages_and_tests_have_all():
    found = extras()
    assert {*EXTRAS.values()} <= {*found}
    assert "bridge_tf[compress,serving,jax,onnx,ray]" in SETUP["options.extras_require"]["test"]
    assert {*found} == {"compress", "serving", "jax", "onnx", "ray", "test", "docs"}


def test_a_missing_extra_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", None)
    message = r"^`hosts=a:1`: needs jax; pip install 'bridge_tf\[jax\]' has it$"
    with pytest.raises(InputError, match=message):
        import_extra("jax", "hosts=a:1")


@pytest.mark.integration
def test_without_the_extra_exports_lack_the_files_for_tensorflow_serving(
    tiny, images, tmp_path, monkeypatch, caplog
):
    monkeypatch.setitem(sys.modules, "tensorflow_serving", None)
    saved_model = export(BridgeEnsemble(tiny(), []), tmp_path, "model", images).saved_model
    assert "pip install 'bridge_tf[serving]'" in caplog.text
    assert [path.name for path in (saved_model / "assets.extra").iterdir()] == ["export.json"]
    there = sorted(path.name for path in tmp_path.iterdir())
    assert there == ["model", "model.metadata.json", "model.tflite"]


@pytest.mark.slow  # fetches three versions of TensorFlow
@pytest.mark.parametrize(
    ("numpy", "tensorflow"), [("2.0.2", "2.18.1"), ("2.1.3", "2.19.1"), ("2.2.6", "2.20.0")]
)
def test_the_wheel_leaves_numpy_and_tensorflow_as_they_are(numpy, tensorflow, tmp_path):
    if sys.version_info >= (3, 13) and tensorflow < "2.20":
        pytest.skip(f"TensorFlow {tensorflow} has no wheels for this Python")
    python = tmp_path / "environment" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "environment"], check=True)

    def ran(*arguments) -> str:
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        done = subprocess.run(
            [python, *arguments], capture_output=True, text=True, cwd=tmp_path, env=environment
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def versions() -> dict[str, str]:
        lines = ran("-m", "pip", "list", "--format=freeze").splitlines()
        return dict(line.split("==") for line in lines)

    ran("-m", "pip", "install", "-q", f"numpy=={numpy}", f"tensorflow=={tensorflow}")
    before = versions()
    ran("-m", "pip", "wheel", "-q", "--no-deps", f"--wheel-dir={tmp_path}", str(REPOSITORY))
    (wheel,) = tmp_path.glob("bridge_tf-*.whl")
    ran("-m", "pip", "install", "-q", str(wheel))
    after = versions()
    assert (after["numpy"], after["tensorflow"]) == (numpy, tensorflow)
    assert {name: after[name] for name in before} == before
    ran("-m", "pip", "check")
    assert "BridgeEnsemble" in ran("-c", USES_EVERYTHING)
