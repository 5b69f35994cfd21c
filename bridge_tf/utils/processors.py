"""The processor cores of this machine, as far as this process may use them."""

import math
import os
import pathlib

_QUOTA = pathlib.Path("/sys/fs/cgroup/cpu.max")
_STATISTICS = pathlib.Path("/proc/stat")


def cores() -> int:
    """The cores that this process may use, limited by machine, affinity and container; ≥ 1."""
    affinity = getattr(os, "sched_getaffinity", None)
    found = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:
        quota, period = _QUOTA.read_text(encoding="ascii").split()
        found = min(found, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):  # no container, or one without a limit ("max")
        pass
    return max(1, found)


def idle_seconds() -> float | None:
    """Seconds that the machine's cores have been idle, summed over them.

    None if unknown, or if this process may not use all of them.
    """
    if cores() != os.cpu_count():
        return None
    try:
        name, *ticks = _STATISTICS.read_text(encoding="ascii").splitlines()[0].split()
        idle, waiting = map(int, ticks[3:5])
    except (OSError, ValueError, IndexError):
        return None
    return (idle + waiting) / os.sysconf("SC_CLK_TCK") if name == "cpu" else None
