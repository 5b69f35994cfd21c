"""A run's tasks on the machines of a Ray cluster.

`executor` hands them out, `worker` does one, `storage` has the files that both see, `board` shows
how far all are. Ray and fsspec, the extra `ray`, are imported when they are needed.
"""
