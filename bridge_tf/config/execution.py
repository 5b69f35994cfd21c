"""The settings of clusters and devices."""

import dataclasses

from bridge_tf.config.fields import AUTO
from bridge_tf.config.validation import setting

EXECUTORS = ("local", "ray")


@dataclasses.dataclass(frozen=True)
class ExecutionSettings:
    """Clusters and devices."""

    executor: str = setting(
        "local",
        "What runs the tasks: local, this machine, see `jobs`; ray, a Ray cluster.",
        choices=EXECUTORS,
    )
    jobs: str = setting(
        AUTO,
        "Number of processes of this machine that do independent trainings, each with all cores; "
        "the files stay the same. auto: as many as the cores that one training leaves idle allow, "
        "if that saves more time than their start takes.",
    )
    ray_address: str = setting(
        AUTO, "The Ray cluster: auto, one that runs on this machine; HOST:PORT; local, a new one."
    )
    ray_cpus: float = setting(1.0, "CPU cores that each task requests of Ray.", above=0)
    ray_gpus: float = setting(0.0, "GPUs that each training or evaluation requests.", low=0)
    ray_memory: float = setting(
        0.0, "GiB of memory that each task requests of Ray; 0: no request.", low=0
    )
    ray_retries: int = setting(3, "Maximum number of retries when a task's node dies.", low=0)
    storage: str = setting(
        "",
        "Folder or URL (gs://, s3://, …) through which nodes exchange files; default: `workdir`, "
        "which all nodes must then see.",
    )
    devices: str = setting(
        "1",
        "Number of devices of this machine that share each batch, or all. `batch_size`, a multiple "
        "of it, is the whole batch; learning rate and steps are the same as on one device.",
    )
    hosts: list[str] = setting(
        (),
        "Addresses HOST:PORT of the processes that share each batch, comma-separated; the first "
        "coordinates. Start each process with these settings and its own `process_id` and "
        "`workdir`. JAX only.",
    )
    process_id: int = setting(0, "Index of this process in `hosts`, from 0.", low=0)
