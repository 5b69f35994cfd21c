"""Data parallelism: several devices share each batch of a training.

On TensorFlow the model is mirrored (`tf.distribute.MirroredStrategy`). On JAX the batch is sharded
(`keras.distribution.DataParallel`), also over several processes (`multihost`). A step equals that
of one device, with its random draws and batch-norm statistics. Only `fit` runs on several devices,
on a copy of the model, whose values are copied back at the end.
"""

import contextlib
import dataclasses
import functools
from collections.abc import Iterator, Sequence

import keras

from bridge_tf.curves.batch_norm import batch_norms
from bridge_tf.training.distribution import multihost as processes
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.keras_utils import clone, with_weights_of


@dataclasses.dataclass(frozen=True)
class Devices:
    """Two or more devices that share each batch, in one process or several.

    Attributes:
        names: of the devices of all processes, in the order of their rows of a batch.
        processes: number of processes.
        process: index of this process, from 0.
    """

    names: tuple[str, ...]
    processes: int = 1
    process: int = 0

    @classmethod
    def of(
        cls,
        devices: str = "all",
        hosts: Sequence[str] = (),
        process_id: int = 0,
        batch_size: int | None = None,
    ) -> "Devices | None":
        """The devices that the settings of these names request; None for a single device.

        With `hosts` it waits for the other processes, and must come before any computation.

        Raises:
            InputError: there are fewer devices, the backend can't share a batch, or the batch size
                isn't a multiple of the number of devices.
        """
        if devices == "1" and not hosts:
            return None
        backend = keras.backend.backend()
        if hosts and backend != "jax":
            raise InputError(
                f"`hosts={','.join(hosts)}`: only JAX shares a training between processes, the "
                f"backend here is {backend}; set KERAS_BACKEND=jax, or leave it out"
            )
        if backend not in ("tensorflow", "jax"):
            raise InputError(
                f"`devices={devices}`: the backend {backend} trains on one device here; set "
                "KERAS_BACKEND to tensorflow or jax, or leave it out"
            )
        if hosts:
            processes.join(tuple(hosts), process_id)
        names = _names(devices, max(1, len(hosts)))
        if len(names) == 1:
            return None
        if batch_size and batch_size % len(names):
            raise InputError(
                f"`batch_size={batch_size}`: {len(names)} devices share each batch equally; take "
                f"a multiple of {len(names)}"
            )
        return cls(tuple(names), max(1, len(hosts)), process_id if hosts else 0)

    @property
    def compiles(self) -> bool:
        """Whether XLA can compile a step; it can't if variables are on several devices."""
        return keras.backend.backend() != "tensorflow"

    def scope(self):
        """The context for building models on all devices."""
        if keras.backend.backend() == "tensorflow":
            return _strategy(self.names).scope()
        # Keras's own sharding of data sets would change the order of rows.
        return keras.distribution.DataParallel(
            devices=[*self.names], auto_shard_dataset=False
        ).scope()

    def share(self, data, batch_size: int | None):
        """Batches for `fit`; with several processes, each process reads its own rows.

        `data` are arrays, with a `batch_size`, or a `tf.data.Dataset` of whole batches.

        Raises:
            ValueError: some batches may not be divisible by the number of devices.
        """
        count = len(self.names)
        if batch_size:
            rows = len(keras.tree.flatten(data)[0])
            if batch_size % count or rows % batch_size or self.processes > 1:
                raise ValueError(
                    f"{count} devices share batches of one known size, a multiple of {count}: give "
                    "a tf.data.Dataset, or, unless other processes share it, arrays that fill such "
                    f"batches. Received: {rows} rows, batch_size={batch_size}"
                )
            return data
        spec = getattr(data, "element_spec", None)
        sizes = {leaf.shape[0] for leaf in keras.tree.flatten(spec)} if spec is not None else {None}
        (size,) = sizes if len(sizes) == 1 else (None,)
        if size is None or size % count:
            raise ValueError(
                f"{count} devices share batches of one known size, a multiple of {count}: give a "
                f"tf.data.Dataset, batched with drop_remainder=True. Received: {spec or data}"
            )
        if self.processes == 1:
            return data
        size //= self.processes
        first = self.process * size

        def own(*batch):
            rows = keras.tree.map_structure(lambda tensor: tensor[first : first + size], batch)
            return rows if len(rows) > 1 else rows[0]

        return data.map(own)


@contextlib.contextmanager
def shared(model, devices: Devices | None) -> Iterator[keras.Model]:
    """Yields a copy of a built model on all devices; copies its values back if the block succeeds.

    Without devices it yields the model itself. Build training models from it inside the block.
    """
    if devices is None:
        yield model
        return
    if devices.processes > 1:
        processes.agree(model.variables)
    with devices.scope():
        copy = clone(model)
        # On TensorFlow each device would use the statistics of its own rows only.
        if keras.backend.backend() == "tensorflow":
            for layer in batch_norms(getattr(copy, "network", copy)):
                layer.synchronized = True
        yield copy
    with_weights_of(copy, model)


def replicas() -> int:
    """The number of replicas that run on parts of a batch; on JAX one, for the whole batch."""
    if keras.backend.backend() != "tensorflow":
        return 1
    import tensorflow as tf

    return tf.distribute.get_strategy().num_replicas_in_sync


def whole(rows):
    """The number of rows of the whole batch, from that of this replica."""
    count = replicas()
    return rows if count == 1 else rows * count


def part_of_mean(loss):
    """This replica's part of the mean loss over the batch, from the mean over its own rows.

    Keras adds the parts. Its own losses already are such parts.
    """
    count = replicas()
    return loss if count == 1 else loss / count


def whole_batch(rows):
    """The rows of all replicas in the order of the batch, from those of this replica."""
    context = _context()
    return rows if context is None else context.all_gather(rows, axis=0)


def own_rows(values, rows):
    """This replica's `rows` of values, which have one for each row of the whole batch on axis 0."""
    context = _context()
    if context is None:
        return values[:rows] if replicas() > 1 else values
    first = context.replica_id_in_sync_group * rows
    return values[first : first + rows]


def _context():
    """TensorFlow's replica context; None with a single replica, and while Keras infers shapes."""
    if replicas() == 1:
        return None
    import tensorflow as tf

    return tf.distribute.get_replica_context()


@functools.cache  # a second strategy would use the first one's keys for reductions
def _strategy(names: tuple[str, ...]):
    import tensorflow as tf

    return tf.distribute.MirroredStrategy([*names])


def _names(devices: str, count: int) -> list[str]:
    """The names of the requested devices of all `count` processes."""
    found = _found(count)
    least = min(map(len, found))
    if devices == "all":
        if least < max(map(len, found)):
            raise InputError(
                "`devices=all`: the processes have different numbers of devices, "
                f"{', '.join(str(len(names)) for names in found)}; name a number"
            )
        return [name for names in found for name in names]
    wanted = int(devices)
    if wanted > least:
        what = f"{least} device{'s' * (least > 1)} ({', '.join(found[0][:least])})"
        raise InputError(f"`devices={devices}`: there {'are' if least > 1 else 'is'} {what}")
    return [name for names in found for name in names[:wanted]]


def _found(count: int) -> list[list[str]]:
    """The names of all devices of each process: accelerators, or CPUs if there are none."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        kinds = (tf.config.list_logical_devices(kind) for kind in ("GPU", "CPU"))
        return [[device.name for device in next(filter(None, kinds))]]
    import jax

    return [
        [f"{device.platform}:{device.id}" for device in jax.devices() if device.process_index == k]
        for k in range(count)
    ]
