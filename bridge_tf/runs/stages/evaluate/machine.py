"""What a run is measured on."""

import os
import pathlib
import platform


def machine() -> dict:
    """The hardware and software that measure."""
    import keras
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    names = [tf.config.experimental.get_device_details(gpu).get("device_name") for gpu in gpus]
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "accelerators": [name or "GPU" for name in names],
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "keras": keras.__version__,
        "tensorflow": tf.__version__,
    }


def _processor() -> str:
    """The processor's name, or its family where the system doesn't tell."""
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
