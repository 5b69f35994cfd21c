"""A run's tasks, handed out to a Ray cluster as soon as what they read is there."""

import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from typing import TextIO

from bridge_tf.config import Config
from bridge_tf.runs.context import Run
from bridge_tf.runs.executors.board import Board
from bridge_tf.runs.executors.ray.driver import Driver
from bridge_tf.runs.executors.ray.storage import Storage
from bridge_tf.runs.runner import prepared
from bridge_tf.utils.errors import InputError, TrainingError, reason
from bridge_tf.utils.extras import import_extra
from bridge_tf.utils.terminal import logger

_ANSWER_SECONDS = 10


def execute_on_ray(run: Run) -> None:
    """Runs the requested stages on the cluster of `ray_address`, otherwise as `execute`.

    This process writes the run's files, so that a run may go on with the local executor, or the
    other way round. It also makes the exports, which go to its machine.

    Raises:
        InputError: as `execute`, or the extra isn't installed, or no cluster is there.
        TrainingError: a task has failed; those that don't depend on it were done.
    """
    ray = _ray()
    storage = _storage(run)
    with _connected(ray, run.config) as results, prepared(run):
        _say_what_is_there(ray, run.config)
        driver = Driver(ray, run, storage, results)
        try:
            with Board(len(driver.waiting)) as board:
                driver.finish(board)
        except ray.exceptions.RayError as error:
            raise TrainingError(
                f"`ray_address={run.config.ray_address}`: the cluster, or this machine's node "
                f"in it, is lost ({reason(error)}); what is done is kept, run again to go on"
            ) from error


def _storage(run: Run) -> Storage:
    """Where nodes exchange files: the work directory, or what `storage` names.

    Raises:
        InputError: it can't be opened and written, or one of the two is inside the other.
    """
    work, named = run.files.path.absolute(), run.config.storage
    storage = Storage(named or str(work))
    if storage.folder is not None:
        place, home = storage.folder.resolve(), work.resolve()
        if place == home:
            return Storage(str(work))
        if place in home.parents or home in place.parents:
            raise InputError(
                f"`storage={named}`: and `workdir={run.files.path}` are inside each other; "
                "name another place, or leave it out"
            )
    storage.probe()
    return storage


def _ray():
    import_extra("fsspec", "executor=ray")  # for the storage
    return import_extra("ray", "executor=ray")


@contextlib.contextmanager
def _connected(ray, config: Config) -> Iterator[TextIO]:
    """Connects to the cluster, and gives standard output, which Ray's own messages don't go to."""
    # Nothing leaves the cluster.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    address = config.ray_address
    handlers = {}
    if threading.current_thread() is threading.main_thread():
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        _check_listening(address)  # Ray would wait for minutes
        ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    except (ray.exceptions.RayError, RuntimeError, ValueError, OSError) as error:
        raise InputError(
            f"`ray_address={address}`: no Ray cluster can be joined ({reason(error)}); start one "
            "with ray start --head, or let `ray_address=local` start one for this run"
        ) from error
    finally:
        for number, handler in handlers.items():  # Ray sets its own
            signal.signal(number, handler)
    try:
        results = sys.stdout
        with contextlib.redirect_stdout(sys.stderr):
            yield results
    finally:
        ray.shutdown()


def _check_listening(address: str) -> None:
    """Raises an OSError if nothing listens at HOST:PORT; leaves other addresses to Ray."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdecimal() and "://" not in address:
        with socket.create_connection((host, int(port)), timeout=_ANSWER_SECONDS):
            pass


def _say_what_is_there(ray, config: Config) -> None:
    """Logs the nodes, and a warning if tasks will wait for one that has what they ask for."""
    nodes = [node for node in ray.nodes() if node["Alive"]]
    here = ray.get_runtime_context().get_node_id()[:6]
    for node in nodes:
        name, found = node["NodeID"][:6], node["Resources"]
        parts = f"{found.get('CPU', 0):g} CPUs, {found.get('GPU', 0):g} GPUs"
        place = node["NodeManagerAddress"] + (", this one" if name == here else "")
        logger.info(f"ray: node {name}, {place}, {parts}")
    wanted = {"CPU": config.ray_cpus, "GPU": config.ray_gpus, "memory": config.ray_memory * 2**30}
    for name, amount in wanted.items():
        most = max(node["Resources"].get(name, 0) for node in nodes)
        if amount > most:
            setting = {"CPU": "ray_cpus", "GPU": "ray_gpus", "memory": "ray_memory"}[name]
            value = getattr(config, setting)
            logger.warning(
                f"`{setting}={value:g}`: no node has as much; tasks wait until one comes"
            )
