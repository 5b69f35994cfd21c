"""A run's bridge ensemble, put together from the files of base and bridges."""

import keras

from bridge_tf.ensembles.bridge_ensemble import BridgeEnsemble
from bridge_tf.networks.saving import write_model
from bridge_tf.runs.context import Run
from bridge_tf.runs.task_graph import ENSEMBLE
from bridge_tf.utils.files import check_space


def forget_names() -> None:
    """Lets Keras number nameless layers from 1 again, so that every process names them alike."""
    policy = keras.config.dtype_policy()
    keras.backend.clear_session()
    keras.config.set_dtype_policy(policy)


def build_ensemble(run: Run) -> BridgeEnsemble:
    """The base with the bridges, and the modes that they read."""
    config, pairs = run.config, run.config.curves()
    bridges = [run.load(run.files.bridge(pair), keras.Model) for pair in pairs]
    base = run.load_mode(0)
    positions = run.positions if config.conditioned else ()
    if config.bridge_type == 1:
        return BridgeEnsemble(base, bridges, positions=positions)
    modes = [run.load_mode(k) for k in range(1, config.num_modes)]
    return BridgeEnsemble(base, bridges, modes, ends=pairs, positions=positions)


def write_ensemble(run: Run) -> None:
    """Writes ensemble.keras, unless it is there and made from the files as they are."""
    files, parts = run.files, run.graph.tasks[ENSEMBLE].sources(run.files)
    if files.current(files.ensemble, parts):
        return
    size = 2 * sum(path.stat().st_size for path in parts)
    check_space("workdir", files.path, size, "the ensemble")
    forget_names()
    with files.writing(files.ensemble, parts) as partial:
        write_model(build_ensemble(run), partial)
