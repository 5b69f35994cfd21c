"""The progress of tasks that run on many machines, in one view."""

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from bridge_tf.utils.terminal import bar_console, logger, shows_bars


class Board:
    """A row for each running task on a terminal, elsewhere its lines; a context manager.

    `total` is the number of the run's tasks.
    """

    def __init__(self, total: int):
        self.total, self.done = total, 0
        console = bar_console()
        self._rows = {}
        self._view = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=console,
            disable=not shows_bars(console),
            transient=True,
        )

    def __enter__(self):
        self._view.start()
        return self

    def __exit__(self, *error):
        self._view.stop()

    def begun(self, task: str) -> None:
        self._rows[task] = self._view.add_task(f"{task}: waits for a place")

    def line(self, task: str, text: str) -> None:
        if self._view.disable:
            logger.info(f"{task}: {text}")
        elif task in self._rows:
            self._view.update(self._rows[task], description=f"{task}: {text}")

    def ended(self, task: str, text: str = "") -> None:
        """A task is done, or has failed, as `text` says."""
        if task in self._rows:
            self._view.remove_task(self._rows.pop(task))
        self.done += not text
        logger.info(f"{task}: {text or f'done, {self.done} of {self.total}'}")
