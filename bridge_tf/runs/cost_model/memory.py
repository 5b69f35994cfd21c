"""The memory of a task's process, on a CPU.

The constants were measured once, on x86-64 with TensorFlow 2.21.0, Keras 3.15.1 (docs/scale.md).
"""

from bridge_tf.runs.task_graph import kind_of

_MB = 1_000_000
# A process that has imported all of this package and what it uses; XLA's libraries.
_PROCESS, _LIBRARIES = 805 * _MB, 70 * _MB
# What compiling a step takes: at least, and for each layer that is trained or executed besides.
_COMPILER, _TRAINED_LAYER, _EXECUTED_LAYER = 150 * _MB, 3.5 * _MB, 1.2 * _MB
# The same of a layer whose weights are computed from a curve's control points.
_CURVE_LAYER = 3.5 * _MB
# Of what all layers of a network give for a batch, the share that is there at once in a step.
_KEPT = 1.26
# Outputs of the largest layer that are there at once where nothing is trained.
_PASSING = 4
# What reading a data set leaves behind, in copies of its images.
_READING = 4.3
# Copies of images: the data set's and those that its batches are taken from; those that are made
# of images that are predicted.
_BATCHING, _PREDICTING = 4.1, 2.1
# An image in a file: its place, its length, its fingerprint.
_PLACE = 32
# Weights of a network while it is trained, and saved: its own, momentum, gradients, a checkpoint's.
_COPIES = 5
# Images that are predicted at a time.
_BATCH = 500
# The ensemble's file, while it is written; its weights, while it is exported.
_FILES, _EXPORTED = 3, 6
# An evaluation's graphs, tables and figures; a layer of a Keras model, besides its weights.
_EVALUATING, _LAYER = 150 * _MB, 70_000
_FLOAT, _FLOAT64 = 4, 8


def peak_memory(model, task) -> int:
    """Bytes that are resident at most in a process that does one task.

    Args:
        model: a `bridge_tf.runs.cost_model.CostModel`.
        task: of its run.
    """
    sizes = model.sizes
    image = sizes.image_bytes
    splits = image * (sizes.validation + sizes.test)
    train = _PLACE * sizes.train if sizes.in_files else image * sizes.train
    reading = _PLACE * sizes.images + splits if sizes.in_files else _READING * image * sizes.images
    if task.is_training:
        held = splits + train * (1 if sizes.in_files else _BATCHING)
        work = _training(model, kind_of(task.name))
    else:
        held = splits + train
        work = _others(model, task.name)
    return round(_PROCESS + _LIBRARIES + max(reading, held + work))


def _training(model, kind: str) -> float:
    networks, batch = model.networks, model.config.batch_size
    trained, mode = networks.trained(kind), networks.mode
    outputs = _FLOAT * batch * trained.outputs * _KEPT
    work = _COMPILER + _TRAINED_LAYER * trained.layers + outputs + _COPIES * trained.weights
    if kind == "curve":
        work += _CURVE_LAYER * mode.layers + 2 * model.config.curve_degree * mode.weights
    besides = {"bridge": 1 + model.config.bridge_type, "distillation": model.config.num_modes}
    if number := besides.get(kind):
        work += number * (_EXECUTED_LAYER * mode.layers + mode.weights)
        work += _FLOAT * batch * mode.largest * _PASSING
    return work


def _others(model, name: str) -> float:
    """What puts together, predicts or exports."""
    ensemble = model.files.result("ensemble")
    if name == "ensemble":
        return _FILES * ensemble
    networks, predicted, sizes = model.networks, model.predicted, model.sizes
    mode, pairs = networks.mode, len(model.config.curves())
    passing = _FLOAT * _BATCH * mode.largest * _PASSING
    work = passing + _PREDICTING * sizes.image_bytes * max(sizes.test, sizes.validation)
    if name == "export":
        return work + _EXPORTED * ensemble + _COMPILER
    curves = pairs * (model.config.curve_degree + 2)
    # The largest row of the table executes so many networks; its graph holds a copy of each.
    row = max(model.config.num_modes, predicted.executed + predicted.places)
    models = model.config.num_modes + pairs + row
    work += (model.config.num_modes + curves + row) * mode.weights + 2 * ensemble
    work += _EVALUATING + _EXECUTED_LAYER * mode.layers + _LAYER * mode.layers * models
    return work + _FLOAT64 * sizes.classes * predicted.members * predicted.images
