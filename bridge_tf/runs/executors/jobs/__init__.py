"""A run's trainings side by side, in processes of this machine.

`jobs` hands them out, `count` says how many processes are worth it, `worker` is what they run,
`threads` limits their threads.
"""
