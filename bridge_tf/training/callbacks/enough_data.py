"""A check that each epoch has all its steps."""

import keras

from bridge_tf.utils.errors import InputError


class EnoughData(keras.callbacks.Callback):
    """Raises an InputError after an epoch whose batches ran out before its steps.

    The learning rate's schedule counts on these steps; Keras only warns.
    """

    def on_epoch_begin(self, epoch, logs=None):
        self._done = 0

    def on_train_batch_end(self, batch, logs=None):
        self._done += 1

    def on_epoch_end(self, epoch, logs=None):
        steps = self.params["steps"]
        if self._done < steps and not self.model.stop_training:
            raise InputError(
                f"`data`: ran out after {self._done} of the {steps} steps of epoch {epoch + 1}; "
                "lower `steps_per_epoch`, or give batches that repeat"
            )
