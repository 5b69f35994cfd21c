"""A run's tasks on the machines of a Ray cluster.

`executor` connects, `driver` hands tasks out, `worker` does one; `storage` has the files that both
see, `exchange` knows what goes there and comes back; `board` shows how far all are. Ray and fsspec,
the extra `ray`, are imported when they are needed.
"""
