"""What to expect of a run, when two of its modes are trained."""

import numpy as np

from bridge_tf.evaluation.forecast import forecast
from bridge_tf.evaluation.scores import network_predictor
from bridge_tf.runs.context import Run
from bridge_tf.utils.errors import InputError, TrainingError
from bridge_tf.utils.terminal import logger

_FEWEST = 2  # images, one to fit on and one to measure


def forecast_of(run: Run) -> dict:
    """`forecast` of the modes 0 and 1 on the validation images; writes nothing.

    Other modes may be in training meanwhile.

    Raises:
        InputError: a mode is missing or damaged, or the images aren't what they were.
        TrainingError: a mode predicts NaN.
    """
    for path in (run.files.mode(0), run.files.mode(1)):
        if not path.exists():
            raise InputError(
                f"`forecast`: {path} is missing; train two modes first, as by `stages=modes`"
            )
    modes = [run.load_mode(k) for k in range(2)]
    for setting in run.files.changed(run.inputs):
        raise InputError(
            f"`{setting}`: isn't what it was when the run in {run.files.path} began; put that back"
        )
    split = run.data.validation
    if len(split) < _FEWEST:
        raise InputError(
            f"`forecast`: needs {_FEWEST} validation images or more, there is {len(split)}; take a "
            "larger `validation_fraction`"
        )
    if run.config.modes and run.data.validation_from == "train":
        logger.warning(
            "evaluate: WARNING: `modes` may have been trained on the validation images, so that "
            "what follows may be too good or too bad"
        )
    predict = network_predictor()
    log_probs = [predict(mode, split.images) for mode in modes]
    for k, predicted in enumerate(log_probs):
        if np.isnan(predicted).any():
            raise TrainingError(
                f"mode {k} answers with what is not a number; train with a lower `learning_rate` "
                "in another `workdir`"
            )
    return forecast(log_probs, split.labels, run.config.average_cost)
