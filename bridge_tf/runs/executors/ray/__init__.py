"""A run's tasks on the machines of a Ray cluster.

`executor` connects, `driver` hands tasks out, `worker` does one; `storage` has the files that both
see, `exchange` knows what goes there and comes back. Ray and fsspec, the extra `ray`, are imported
when they are needed.
"""

# Of all processes: several may share a GPU, and TensorFlow starts silently.
ENVIRONMENT = {
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}
