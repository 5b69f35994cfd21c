"""The threads of a process that does trainings.

Operations of small networks are over before a second thread has begun, so that trainings side by
side with one thread each use cores better than one after the other with all of them.
"""

import keras

from bridge_tf.training.cpu_kernels import has_accelerator
from bridge_tf.utils.errors import InputError


def check_threads(threads: int) -> None:
    """Raises an InputError unless trainings here can be limited to so many threads; 0: no limit."""
    backend = keras.backend.backend()
    if threads and backend != "tensorflow":
        raise InputError(
            f"`threads={threads}`: the backend {backend} has no such limit; set "
            "KERAS_BACKEND=tensorflow, or leave it out"
        )
    if threads and has_accelerator():
        raise InputError(
            f"`threads={threads}`: limits trainings on CPUs, and here they run on an accelerator; "
            "leave it out"
        )


def limit_threads(threads: int) -> None:
    """Limits the threads of this process, before TensorFlow computes anything."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
