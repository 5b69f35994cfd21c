"""What runs on the nodes, as Ray is given it."""


def remote_work(ray):
    """The function that a worker process runs."""

    # Local, so that Ray sends its code: the environment must be set before Keras is imported.
    def do(order: dict, board) -> dict:
        import os

        os.environ.update(order["environment"])
        import ray

        from bridge_tf.runs.executors.ray.worker import work

        node = ray.get_runtime_context().get_node_id()[:6]
        name = order["task"]
        board.tell.remote(name, f"begins on node {node}")
        return work(order, lambda text: board.tell.remote(name, text))

    return ray.remote(do)


def lines_of_tasks(ray):
    """What tasks say, on this process's node, until it is shown."""

    class Lines:
        def __init__(self):
            self.lines = []

        def tell(self, name: str, text: str) -> None:
            self.lines.append((name, text))

        def take(self) -> list:
            lines, self.lines = self.lines, []
            return lines

    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(Lines).options(num_cpus=0, scheduling_strategy=here).remote()
