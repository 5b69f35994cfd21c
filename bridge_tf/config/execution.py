"""The settings of clusters and devices."""

import dataclasses
import re

from bridge_tf.config.fields import AUTO
from bridge_tf.config.validation import setting, text_of
from bridge_tf.utils.errors import InputError

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
        "Number of processes of this machine that do independent trainings; the files stay the "
        "same. auto: as many as the cores that one training leaves idle allow, if that saves more "
        "time than their start takes.",
    )
    threads: int = setting(
        0,
        "Threads of each training; 0: as many as there are cores. Trainings of small networks take "
        "less time in all side by side with one thread each. With another number, weights differ "
        "as by another order of sums. TensorFlow on CPUs only.",
        low=0,
        high=1024,
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

    def _check_execution(self, batch_size: int) -> None:
        """Refuses devices, processes and requests of Ray that are impossible on any machine."""
        if self.devices != "all" and not re.fullmatch(r"[1-9]\d{0,4}", self.devices, re.ASCII):
            raise InputError(f"`devices={self.devices}`: must be a number from 1 on, or all")
        hosts = f"`hosts={text_of(self.hosts)}`"
        for host in self.hosts:
            if not re.fullmatch(r"[^\s,]+:\d{1,5}", host, re.ASCII):
                raise InputError(f"{hosts}: {host} must be HOST:PORT")
        if self.jobs != AUTO and not re.fullmatch(r"[1-9]\d{0,2}", self.jobs, re.ASCII):
            raise InputError(f"`jobs={self.jobs}`: must be a number from 1 to 999, or auto")
        for name in ("jobs", "threads"):
            value = getattr(self, name)
            for other, plain in {"executor": "local", "devices": "1", "hosts": ()}.items():
                given = getattr(self, other)
                if value not in (AUTO, "1", 0) and given != plain:
                    raise InputError(
                        f"`{name}={value}`: not with `{other}={text_of(given)}`; leave one of "
                        "them out"
                    )
        if len(self.hosts) == 1:
            raise InputError(f"{hosts}: name two processes or more, or leave it out")
        if len(set(self.hosts)) < len(self.hosts):
            raise InputError(f"{hosts}: name each address once")
        if self.hosts and self.executor != "local":
            raise InputError(f"{hosts}: not with `executor={self.executor}`; leave one of them out")
        if self.process_id >= max(1, len(self.hosts)):
            right = f"must be below {len(self.hosts)}" if self.hosts else "needs `hosts`"
            raise InputError(f"`process_id={self.process_id}`: {right}")
        number = max(1, len(self.hosts)) * (1 if self.devices == "all" else int(self.devices))
        if batch_size % number:
            raise InputError(
                f"`batch_size={batch_size}`: {number} devices share each batch equally; take "
                f"a multiple of {number}"
            )
        for field in dataclasses.fields(ExecutionSettings):
            of_ray = field.name.startswith("ray_") or field.name == "storage"
            value = getattr(self, field.name)
            if of_ray and value != field.default and self.executor != "ray":
                raise InputError(f"`{field.name}={text_of(value)}`: needs `executor=ray`")
        for name in ("ray_cpus", "ray_gpus"):  # the numbers that Ray accepts
            value = getattr(self, name)
            if value != round(value, 4) or (value > 1 and value != int(value)):
                raise InputError(
                    f"`{name}={value}`: must be a whole number, or below 1 with at most four "
                    "decimals"
                )
