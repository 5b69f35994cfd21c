"""A run's bridge ensemble, put together from the files of base and bridges."""

import keras

from bridge_tf.ensembles.bridge_ensemble import BridgeEnsemble
from bridge_tf.evaluation.scores import fit_temperatures
from bridge_tf.networks.saving import write_model
from bridge_tf.runs.context import Run
from bridge_tf.runs.task_graph import ENSEMBLE
from bridge_tf.utils.files import check_space


def forget_names() -> None:
    """Lets Keras number nameless layers from 1 again, so that every process names them alike."""
    policy = keras.config.dtype_policy()
    keras.backend.clear_session()
    keras.config.set_dtype_policy(policy)


def build_ensemble(run: Run, temperatures: tuple[float, float] = (1.0, 1.0)) -> BridgeEnsemble:
    """The base with the bridges, and the modes that they read.

    `temperatures` are the ensemble's and the base's.
    """
    config, pairs = run.config, run.config.bridge_pairs()
    bridges = [run.load(run.files.bridge(pair), keras.Model) for pair in pairs]
    base = run.load_base()
    positions = run.positions if config.conditioned else ()
    modes, ends = (), None
    if config.bridge_type == 2:
        modes, ends = [run.load_mode(k) for k in range(1, config.num_modes)], pairs
    return BridgeEnsemble(
        base,
        bridges,
        modes,
        ends,
        positions,
        temperature=temperatures[0],
        base_temperature=temperatures[1],
    )


def write_ensemble(run: Run) -> None:
    """Writes ensemble.keras, unless it is there and made from the files as they are.

    Its temperatures are fitted on the validation split.
    """
    files, parts = run.files, run.graph.tasks[ENSEMBLE].sources(run.files)
    if files.current(files.ensemble, parts):
        return
    size = 2 * sum(path.stat().st_size for path in parts)
    check_space("workdir", files.path, size, "the ensemble")
    split = run.data.validation
    temperatures = fit_temperatures(build_ensemble(run), split.images, split.labels)
    forget_names()
    with files.writing(files.ensemble, parts) as partial:
        write_model(build_ensemble(run, temperatures), partial)
