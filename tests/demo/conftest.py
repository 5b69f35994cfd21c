"""Small exported models, and the demo of one of them in a browser."""

import contextlib
import os
import pathlib
import threading
import types

import numpy as np
import pytest
from filelock import FileLock

from bridge_tf.utils.errors import InputError


@pytest.fixture(scope="session")
def exported(tmp_path_factory, worker_id) -> types.SimpleNamespace:
    """Untrained models of digits: `parts` with a bridge and a conditioned one, `whole`, the same
    with the signatures of the ensemble and the base alone, and `colour`, of 12 classes.
    """
    # One of pytest-xdist's workers writes them for all.
    alone = worker_id == "master"
    root = tmp_path_factory.getbasetemp() if alone else tmp_path_factory.getbasetemp().parent
    folder = root / "exported"
    with FileLock(root / "exported.lock"):
        if not folder.exists():
            partial = root / "exported-partial"
            _export(partial)
            partial.rename(folder)
    names = ("parts", "whole", "colour")
    return types.SimpleNamespace(**{name: folder / f"{name}.tflite" for name in names})


def _export(folder: pathlib.Path) -> None:
    import tensorflow as tf

    from bridge_tf import BridgeEnsemble, build_bridge, build_network
    from bridge_tf.export.signatures import signatures, write_saved_model, write_tflite

    generator = np.random.default_rng(0)

    def noisy(model, scale):
        """Weights away from zeros and ones, so that every image has an answer of its own."""
        for variable in model.trainable_variables:
            variable.assign_add(generator.normal(0, scale, variable.shape))
        return model

    def write(ensemble, name):
        found = signatures(ensemble)
        write_saved_model(found, folder / name)
        write_tflite(found, folder / name, folder / f"{name}.tflite")

    base = noisy(build_network("resnet8", (8, 8, 1), 10, width=0.25), 0.2)
    bridges = [
        noisy(build_bridge(base, "stage2_block1", 0.5, conditioned=conditioned), 0.3)
        for conditioned in (False, True)
    ]
    write(BridgeEnsemble(base, bridges, positions=[0.2, 0.9]), "parts")
    (folder / "parts.labels.txt").write_text("".join(f"digit {k}\n" for k in range(10)))
    converter = tf.lite.TFLiteConverter.from_saved_model(
        str(folder / "parts"), signature_keys=["serving_default", "base"]
    )
    (folder / "whole.tflite").write_bytes(converter.convert())
    colour = noisy(build_network("resnet8", (8, 8, 3), 12, width=0.25), 0.2)
    write(BridgeEnsemble(colour, []), "colour")


@pytest.fixture(scope="session")
def runtime() -> pathlib.Path:
    """LiteRT's web runtime, in the cache; skips, or under CI fails, where it can't be had."""
    from bridge_tf.demo.runtime import runtime_folder

    try:
        return runtime_folder()
    except InputError as error:
        pytest.fail(str(error)) if os.environ.get("CI") else pytest.skip(str(error))


@pytest.fixture
def no_runtime(tmp_path) -> pathlib.Path:
    """A folder with files of the runtime's names, and one that isn't of it."""
    core = tmp_path / "node_modules/@litertjs/core"
    for name in ("dist/index.js", "wasm/litert_wasm_internal.js", "wasm/litert_wasm_internal.wasm"):
        (core / name).parent.mkdir(parents=True, exist_ok=True)
        (core / name).write_text(name)
    utils = tmp_path / "node_modules/@litertjs/wasm-utils/dist"
    utils.mkdir(parents=True)
    (utils / "index.js").write_text("utils")
    (tmp_path / "secret.js").write_text("secret")
    return tmp_path


@pytest.fixture(scope="session")
def digits() -> tuple[np.ndarray, np.ndarray]:
    """Test images of digits, N×8×8×1 whole numbers 0…255, and their labels."""
    from bridge_tf.data.readers.digits import read_digits

    test = read_digits().test
    return test.images, test.labels


@pytest.fixture(scope="session")
def serving(runtime):
    """A context manager: the address of a demo of a model file with example pictures."""
    from bridge_tf.demo.model import load_model
    from bridge_tf.demo.server import DemoServer, Site

    @contextlib.contextmanager
    def serving(path, examples=(), runtime=runtime, positions=()):
        with DemoServer(Site.of(load_model(path, positions), examples, runtime)) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.05,))
            thread.start()
            try:
                yield server.url
            finally:
                server.shutdown()
                thread.join()

    return serving


@pytest.fixture
def lite():
    """Python's LiteRT: what a signature of a file gives for named inputs."""
    from ai_edge_litert.interpreter import Interpreter

    def lite(path, signature, **inputs):
        return Interpreter(str(path)).get_signature_runner(signature)(**inputs)

    return lite


@pytest.fixture(scope="module")
def url(exported, serving, digits):
    """The address of a demo with bridges, and examples of digits."""
    names = [f"digit {k}" for k in range(10)]
    from bridge_tf.data import Split
    from bridge_tf.demo.examples import examples_of_split

    with serving(exported.parts, examples_of_split(Split(*digits), names)) as url:
        yield url


@pytest.fixture
def page(browser, url):
    """That demo, in the `browser` of tests/browser.py."""
    from tests.demo.page import opened

    yield from opened(browser, url)
