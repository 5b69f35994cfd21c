"""The undisturbed run that all others are compared with, and the count of faults."""

import contextlib
import json
import os
import pathlib
import shutil

import filelock
import pytest

pytest.register_assert_rewrite("tests.faults.runs", "tests.faults.kills")

from tests.faults.runs import Run, write_network  # noqa: E402


@pytest.fixture
def fault(record_property):
    """Counts what is done to a run, and, if the block goes well, that it did no harm."""

    @contextlib.contextmanager
    def fault(kind: str):
        record_property("fault", kind)
        yield
        record_property("survived", kind)

    return fault


@pytest.fixture(scope="session")
def shared(tmp_path_factory) -> pathlib.Path:
    """A folder for all workers of pytest-xdist."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session")
def undisturbed(shared):
    """Gives the undisturbed run with these flags, which is made once for all workers.

    Its `noted` are its events: [number, kind, file].
    """

    def undisturbed(*flags) -> Run:
        folder = shared / "-".join(["undisturbed", *(flag.strip("-") for flag in flags)])
        with filelock.FileLock(shared / "undisturbed.lock"):
            network = shared / "tiny.keras"
            if not network.exists():
                write_network(network)
            run = Run(folder, network)
            noted = folder / "noted.json"
            if not noted.exists():
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                run.train(*flags, spec={})
                noted.write_text(json.dumps(run.events()))
        run.noted = json.loads(noted.read_text())
        return run

    return undisturbed


@pytest.fixture(scope="session")
def whole(undisturbed) -> Run:
    """The undisturbed run."""
    return undisturbed()


@pytest.fixture
def new(tmp_path, whole):
    """A run that hasn't begun."""
    run = Run(tmp_path, whole.network)
    yield run
    run.close()


@pytest.fixture
def finished(new, whole) -> Run:
    """A copy of the undisturbed run."""
    shutil.copytree(whole.work, new.work)
    shutil.copytree(whole.exports, new.exports)
    return new
