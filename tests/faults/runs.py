"""Tiny runs of the real commands, what is done to them, and what must be left in the end."""

import hashlib
import json
import os
import pathlib
import subprocess
import sys

import numpy as np

from tests.conftest import REPOSITORY

# No process of these runs takes a tenth of it.
TIMEOUT = 240
EXPORT_NAME = "tiny"
SETTINGS = {
    "taps": "pool",
    "num_modes": 2,
    "max_images": 64,
    "batch_size": 16,
    "mode_epochs": 2,
    "curve_epochs": 2,
    "bridge_epochs": 2,
    "warmup_epochs": 1,
    "curve_points": 3,
    "jit_compile": "false",
    "augment": "crop",
    "latency": "false",  # another each time
    "export_name": EXPORT_NAME,
}
# A checkpoint after every step.
EVERY_STEP = "--checkpoint_minutes=1e-9"
_KILLED_AT = pathlib.Path(__file__).with_name("killed_at.py")


def write_network(path: pathlib.Path) -> None:
    """Saves the network of the runs, which compiles faster than any of the project's own.

    It has what a training must not lose: statistics of batches, and random draws.
    """
    import keras
    from keras import layers

    x = image = keras.Input((8, 8, 1), name="image")
    x = layers.Rescaling(1 / 255, name="scaled")(x)
    for k, channels in enumerate((4, 8)):
        x = layers.Conv2D(channels, 3, padding="same", name=f"conv{k}")(x)
        x = layers.BatchNormalization(name=f"norm{k}")(x)
        x = layers.ReLU(name=f"relu{k}")(x)
        if k == 0:
            x = layers.MaxPooling2D(name="pool")(x)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    x = layers.Dropout(0.1, name="dropout")(x)
    keras.Model(image, layers.Dense(10, name="logits")(x), name="tiny").save(path)


class Run:
    """A run of the tiny recipe in a folder of its own.

    Args:
        folder: for its work directory, its export and the log of events.
        network: the .keras file of its architecture.
    """

    def __init__(self, folder: pathlib.Path, network: pathlib.Path):
        self.folder, self.network = folder, network
        self.work, self.exports = folder / "work", folder / "exports"
        self.log = folder / "events.log"
        self.processes: list[subprocess.Popen] = []

    def flags(self) -> list[str]:
        settings = {
            "model": self.network,
            **SETTINGS,
            "workdir": self.work,
            "export_dir": self.exports,
        }
        return [f"--{key}={value}" for key, value in settings.items()]

    def start(self, *more, spec: dict | None = None) -> subprocess.Popen:
        """Starts bin/train, under `killed_at.py` if there is a specification for it."""
        program = [sys.executable]
        if spec is not None:
            self.log.unlink(missing_ok=True)
            folders = [str(self.work), str(self.exports)]
            spec = {"log": str(self.log), "folders": folders, **spec}
            program += ["-P", str(_KILLED_AT), json.dumps(spec)]
        program += command("train", *self.flags(), *more)[1:]
        self.processes.append(start(program))
        return self.processes[-1]

    def close(self) -> None:
        """Ends what a test that failed has left."""
        for process in self.processes:
            process.kill()
            process.wait()

    def train(self, *more, spec: dict | None = None, status: int = 0) -> str:
        """Runs bin/train to its end, which must be `status`; returns its standard error."""
        return ended(self.start(*more, spec=spec), status)

    def refused(self, *more) -> str:
        """The one line of a bin/train that must find its input bad."""
        return only_line(self.train(*more, status=2))

    def events(self) -> list[list]:
        """What `killed_at.py` noted: [number, kind, file] each, and at last what it did."""
        if not self.log.exists():
            return []
        # The last line may be on its way.
        lines = self.log.read_text().split("\n")[:-1]
        return [json.loads(line) for line in lines]

    def results(self) -> dict:
        """Everything that a finished run is: digests by name, and answers of the export."""
        found = {
            str(path.relative_to(self.work)): digest(path)
            for path in sorted(self.work.rglob("*"))
            if path.is_file() and path.relative_to(self.work).parts[0] not in _NOT_COMPARED
        }
        listed = json.loads((self.work / "manifest.json").read_text())["files"]
        for name, entry in listed.items():
            found[f"{name} as listed"] = entry["sha256"]
            assert entry["sha256"] == digest(self.work / name), name
        found["versions"] = sorted(path.name for path in (self.exports / EXPORT_NAME).iterdir())
        found["answers"] = [row.tobytes() for row in self.answers()]
        return found

    def answers(self) -> list[np.ndarray]:
        """What the exported files say of some images."""
        import tensorflow as tf
        from ai_edge_litert.interpreter import Interpreter

        images = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 1)).astype("float32")
        interpreter = Interpreter(str(self.exports / f"{EXPORT_NAME}.tflite"))
        lite = interpreter.get_signature_runner("serving_default")(image=images)
        found = [lite[key] for key in sorted(lite)]
        for version in sorted((self.exports / EXPORT_NAME).iterdir()):
            served = tf.saved_model.load(str(version)).signatures["serving_default"]
            outputs = served(image=tf.constant(images))
            found += [outputs[key].numpy() for key in sorted(outputs)]
        return found

    def leftovers(self) -> list[str]:
        """What only a run that is going on may have."""
        return sorted(
            str(path.relative_to(self.folder))
            for folder in (self.work, self.exports)
            for path in folder.rglob("*")
            if path.name.startswith(".") or path.name == "checkpoints"
        )


# Two have digests and flags that don't decide, and logs say when.
_NOT_COMPARED = ("config.json", "manifest.json", "logs")


def assert_same(run: Run, whole: Run) -> None:
    """Checks that a run ended as the undisturbed one, bit for bit, and left nothing lying about."""
    assert differences(run.results(), whole.results()) == []
    assert run.leftovers() == []


def differences(found: dict, wanted: dict) -> list[str]:
    """The names of results that aren't the same; flags may differ in what doesn't decide."""
    names = {*found, *wanted} - {"config.json as listed"}
    return sorted(name for name in names if found.get(name) != wanted.get(name))


def start(program: list[str], cwd=REPOSITORY) -> subprocess.Popen:
    """Starts a process as a user does: what tests set for TensorFlow is left out."""
    environment = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(program, text=True, cwd=cwd, env=environment, **pipes)


def command(name: str, *arguments) -> list[str]:
    """bin/NAME with this interpreter."""
    return [sys.executable, str(REPOSITORY / "bin" / name), *map(str, arguments)]


def ended(process: subprocess.Popen, status: int, timeout: float = TIMEOUT) -> str:
    """Standard error of a process that must end with `status`."""
    try:
        _, errors = process.communicate(timeout=timeout)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == status, f"status {process.returncode}\n{errors}"
    return errors


def only_line(errors: str) -> str:
    lines = errors.splitlines()
    assert len(lines) == 1, errors
    return lines[0]


def digest(path: pathlib.Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
