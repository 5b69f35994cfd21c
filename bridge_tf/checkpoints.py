"""Checkpoints of a training, one an epoch, from which it goes on as if it had never stopped."""

import os
import pathlib
import re

import keras

from bridge_tf.files import replacing

_NAME = re.compile(r"epoch-(\d+)\.weights\.h5")


class Checkpoints(keras.callbacks.Callback):
    """Keeps the weights and the optimizer after the last epoch in one file of `folder`.

    The file's name tells its epoch, and it appears in one rename, so that there is always one
    whole checkpoint or none. It stays when the training ends: remove the folder once the model
    is saved.

    Args:
        folder: made with the first checkpoint.
    """

    def __init__(self, folder: str | os.PathLike):
        super().__init__()
        self.folder = pathlib.Path(folder)

    def restore(self, model) -> int:
        """Loads the newest checkpoint that can be read into a compiled model.

        Returns:
            How many epochs it has seen; 0 where there is none.
        """
        model.optimizer.build(model.trainable_variables)
        untrained = model.get_weights()
        for epoch, path in sorted(self._found().items(), reverse=True):
            try:
                model.load_weights(path)
                return epoch
            except Exception:  # h5py raises all sorts for a damaged file
                model.set_weights(untrained)
                path.unlink()
        return 0

    def on_epoch_end(self, epoch, logs=None):
        earlier = self._found().values()
        with replacing(self.folder / f"epoch-{epoch + 1}.weights.h5") as partial:
            self.model.save_weights(partial, overwrite=True)
        for path in earlier:
            path.unlink(missing_ok=True)

    def _found(self) -> dict[int, pathlib.Path]:
        names = {path: _NAME.fullmatch(path.name) for path in self.folder.glob("*.weights.h5")}
        return {int(match[1]): path for path, match in names.items() if match}


class EpochSeeds(keras.callbacks.Callback):
    """Makes every random draw inside a model a function of its seed, the epoch and the step.

    Keras doesn't save the state of its seed generators, so that without this a training that
    goes on from a checkpoint would draw what the first epochs drew.
    """

    def on_epoch_begin(self, epoch, logs=None):
        for variable in self.model.non_trainable_variables:
            if variable.name == "seed_generator_state":
                seed = int(keras.ops.convert_to_numpy(variable)[0])
                # Each draw counts the second number up by one.
                variable.assign(keras.ops.convert_to_tensor([seed, epoch << 20], variable.dtype))
