"""Where the time of a recipe goes, in one process: a table of seconds, each counted once.

    python benchmarks/where_time_goes.py --flagfile=RECIPE --workdir=NEW --export_dir=NEW

Functions are wrapped with clocks; the time of an inner one isn't counted in the outer one.
"""

import collections
import contextlib
import functools
import importlib
import sys
import time

# What is timed: module, function or Class.method, row of the table.
CLOCKS = [
    ("bridge_tf.runs.stages.modes", "Modes.prepare", "checks before the trainings"),
    ("bridge_tf.runs.stages.modes", "Modes.do", "modes: the rest"),
    ("bridge_tf.runs.stages.curves", "Curves.do", "curves: the rest"),
    ("bridge_tf.runs.stages.bridges", "Bridges.do", "bridges: the rest"),
    ("bridge_tf.runs.bridge_pool", "BridgePool.fill", "bridges: pool of features and targets"),
    ("bridge_tf.runs.stages.bridges", "write_ensemble", "bridges: ensemble and temperatures"),
    ("bridge_tf.runs.stages.evaluate.stage", "Evaluate.do", "evaluation: the rest"),
    (
        "bridge_tf.runs.stages.evaluate.predictions",
        "Predictions.__init__",
        "evaluation: predictions",
    ),
    ("bridge_tf.evaluation.table", "Table.add", "evaluation: metrics and FLOPs of the rows"),
    ("bridge_tf.runs.stages.evaluate.pages", "write_pages", "report: pages and figures"),
    ("bridge_tf.runs.stages.export", "Export.do", "export: the rest"),
    ("bridge_tf.export.tflite_files", "write_saved_model", "export: SavedModel"),
    ("bridge_tf.export.tflite_files", "write_tflite", "export: TFLite"),
    ("bridge_tf.export.tflite_files", "check_parity", "export: comparison with Keras"),
]


class Clock:
    """Seconds by rows; a row pauses while another one runs inside it."""

    def __init__(self):
        self.seconds: dict[str, float] = collections.defaultdict(float)
        self._running = ["all else"]
        self._since = time.perf_counter()

    @contextlib.contextmanager
    def row(self, name: str):
        self._switch()
        self._running.append(name)
        try:
            yield
        finally:
            self._switch()
            self._running.pop()

    def _switch(self) -> None:
        now = time.perf_counter()
        self.seconds[self._running[-1]] += now - self._since
        self._since = now

    def wrap(self, module: str, name: str, row: str) -> None:
        owner = importlib.import_module(module)
        *path, last = name.split(".")
        for part in path:
            owner = getattr(owner, part)
        function = getattr(owner, last)

        @functools.wraps(function)
        def timed(*arguments, **options):
            with self.row(row):
                return function(*arguments, **options)

        setattr(owner, last, timed)


def main() -> None:
    clock = Clock()
    with clock.row("imports of TensorFlow, Keras and this package"):
        from bridge_tf.cli.existing import import_keras
        from bridge_tf.cli.main import main as command

        import_keras()
        for module, name, row in CLOCKS:
            clock.wrap(module, name, row)
        _time_steps(clock)
    with contextlib.suppress(SystemExit):
        command(["train", "--jobs=1", *sys.argv[1:]])
    with clock.row(""):
        pass
    total = sum(clock.seconds.values())
    print(f"| what | s | of {total:.0f} s |\n| --- | ---: | ---: |")
    for row, seconds in sorted(clock.seconds.items(), key=lambda item: -item[1]):
        if row:
            print(f"| {row} | {seconds:.1f} | {seconds / total:.0%} |")


def _time_steps(clock: Clock) -> None:
    """Splits each training into its first step, which is traced and compiled, and the others."""
    from bridge_tf.runs.stages import bridges, curves, modes

    for module, stage in ((modes, "modes"), (curves, "curves"), (bridges, "bridges")):
        for name in ("fit_mode", "fit_curve", "fit_bridge", "fit_from_features"):
            if hasattr(module, name):
                fit = getattr(module, name)
                setattr(module, name, _timed_fit(clock, fit, stage))


def _timed_fit(clock: Clock, fit, stage: str):
    import keras

    @functools.wraps(fit)
    def timed(*arguments, callbacks=(), **options):
        rows = contextlib.ExitStack()

        class FirstStep(keras.callbacks.Callback):
            def on_train_batch_end(self, batch, logs=None):
                if rows.first:
                    rows.first = False
                    rows.close()
                    rows.enter_context(clock.row(f"{stage}: steps"))

        with rows:
            rows.first = True
            rows.enter_context(clock.row(f"{stage}: to the first step (tracing, compiling)"))
            return fit(*arguments, callbacks=[FirstStep(), *callbacks], **options)

    return timed


if __name__ == "__main__":
    main()
