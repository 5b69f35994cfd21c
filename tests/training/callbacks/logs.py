"""Trainings by hand, and what TensorBoard reads of them."""

import keras


def scalars(folder) -> dict:
    """All scalars in a folder's event files, and how they are described: as TensorBoard does."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util.tensor_util import make_ndarray

    events = EventAccumulator(str(folder)).Reload()
    return {
        tag: [
            (event.step, make_ndarray(event.tensor_proto).item()) for event in events.Tensors(tag)
        ]
        for tag in events.PluginTagToContent("scalars")
        if events.SummaryMetadata(tag).summary_description
    }


def small_model():
    """A model to train by hand."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([3], [0.5, 0.25])
    model.compile(keras.optimizers.SGD(schedule), "mse")
    return model


def train(log, model, epochs) -> None:
    """Calls a log as `fit` does, for the losses of some epochs by their index from 0."""
    log.set_model(model)
    log.on_train_begin()
    for epoch, loss in epochs.items():
        log.on_epoch_begin(epoch)
        for batch in range(2):
            model.optimizer.iterations.assign(2 * epoch + batch + 1)
            log.on_train_batch_end(batch, {"loss": 9.0})
        log.on_epoch_end(epoch, {"loss": loss, "accuracy": loss / 2})
    log.on_train_end()
