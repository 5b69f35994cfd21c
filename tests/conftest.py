import itertools
import json
import os
import pathlib
import shutil
import types

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # as commands set it

import numpy as np
import pytest
from filelock import FileLock

# A conftest.py further down is read by the workers of pytest-xdist only.
from tests.faults.summary import pytest_terminal_summary  # noqa: F401

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent

# Files that take minutes. They come first, so that no worker is left alone with one at the end; the
# first makes the run that others share, which these begin with only when it is there.
LONG = (
    *("test_readme.py", "runs/test_runner.py", "cli/test_own_models.py", "faults/test_quick.py"),
    *("test_notebooks.py", "cli/test_compress.py", "cli/test_runs.py", "test_jax.py"),
    "zoo/test_bridges.py",
)


def pytest_collection_modifyitems(items):
    def place(item) -> int:
        name = item.path.relative_to(REPOSITORY / "tests").as_posix()
        return LONG.index(name) if name in LONG else len(LONG)

    items.sort(key=place)  # others stay in their order


@pytest.fixture(autouse=True)
def _seeds():
    import keras

    keras.utils.set_random_seed(0)


@pytest.fixture(scope="session")
def images():
    images = np.random.default_rng(0).uniform(0, 255, (24, 8, 8, 1)).astype("float32")
    images.setflags(write=False)  # all tests share them
    return images


@pytest.fixture
def labels():
    return np.random.default_rng(1).integers(0, 5, 24)


@pytest.fixture
def build():
    """Builds a small network with weights that differ from call to call."""
    from bridge_tf import build_network
    from tests.tiny import small_resnet

    def build(norm="frn", model=None, width=0.25):
        if model is None:
            network = small_resnet(norm, width)
        else:
            network = build_network(model, (8, 8, 1), 5, norm=norm, width=width)
        generator = np.random.default_rng(build.calls)
        build.calls += 1
        for variable in network.variables:
            noise = generator.normal(0, 0.05, variable.shape)
            # Away from initial zeros and ones, and positive where it is a variance.
            variable.assign(
                np.abs(variable.numpy() + noise) + 0.01
                if "variance" in variable.path
                else variable.numpy() + noise
            )
        return network

    build.calls = 0
    return build


@pytest.fixture
def tiny():
    """Builds a network of which all takes a fraction of a resnet's, another with each call."""
    from tests.tiny import tiny_network

    seeds = itertools.count()
    return lambda **options: tiny_network(next(seeds), **options)


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory):
    """Runs a recipe in smoke mode, once for all workers; each gets copies of its files."""
    from tests.commands import done

    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    runs = {}

    def smoke_run(recipe: pathlib.Path) -> types.SimpleNamespace:
        if recipe not in runs:
            flags = [f"--flagfile={recipe.relative_to(REPOSITORY)}", "--smoke"]
            original = shared / f"smoke_{recipe.stem}"
            printed = original / "printed.json"
            with FileLock(f"{original}.lock"):
                if not printed.exists():
                    first = done("train", *flags, *places(original))
                    content = {"stdout": first.stdout, "stderr": first.stderr}
                    printed.write_text(json.dumps(content))
            folder = shutil.copytree(original, tmp_path_factory.mktemp(recipe.stem) / "run")
            runs[recipe] = types.SimpleNamespace(
                flags=flags + places(folder),
                folder=folder,
                work=folder / "work",
                exports=folder / "exports",
                first=types.SimpleNamespace(**json.loads(printed.read_text())),
            )
        return runs[recipe]

    def places(folder: pathlib.Path) -> list[str]:
        return [f"--workdir={folder / 'work'}", f"--export_dir={folder / 'exports'}"]

    return smoke_run
