"""Which results of a run's trainings are there, and are what they should be."""

import pathlib

import keras

from bridge_tf.errors import InputError
from bridge_tf.files import check_space
from bridge_tf.model_files import is_whole, write_model
from bridge_tf.run import Run
from bridge_tf.workdir import damage


def forget_names() -> None:
    """Lets Keras number what has no name from 1 again, so that what is built next is the same in
    every process.
    """
    policy = keras.config.dtype_policy()
    keras.backend.clear_session()
    keras.config.set_dtype_policy(policy)


class Results(Run):
    """A run, and what is known of its results."""

    def done(self, target: pathlib.Path, sources=()) -> bool:
        """Whether a training's result is there: whole, and made from `sources` as they are.

        A file that the manifest doesn't list is taken in if it is whole: one put there by hand,
        or by a version of the project that kept no manifest.

        Raises:
            InputError: it is damaged or made from something else, and isn't to be repaired.
        """
        files, state = self.files, self.files.state(target, sources)
        if state == "unlisted" and is_whole(target):
            files.claim(self.config)
            files.manifest.add(target, target, sources)
            state = "current"
        if state in ("unlisted", "damaged", "outdated"):
            if not files.repair:
                others = ", ".join(map(str, sources))
                raise InputError(
                    f"{target} was made from other files than {others} are now; bin/train --repair "
                    "makes it again"
                    if state == "outdated"
                    else damage(target)
                )
            files.set_aside(target)
        elif state == "current":
            files.remove_backup(target)
        return state == "current"

    def _missing(self, stage: str, file_of, sources_of) -> list[tuple[int, int]]:
        """The pairs of modes whose curve or bridge isn't there yet.

        Raises:
            InputError: what it is made from is missing, or the disk has no room for it.
        """
        missing = []
        for pair in self.config.curves():
            sources = sources_of(pair)
            self.files.need(self._ends(pair), stage, "modes")
            self.files.need(sources, stage, "modes,curves")
            for source in sources:
                self.files.verify(source)
            if not self.done(file_of(pair), sources):
                missing.append(pair)
        if missing:
            points = self.config.curve_degree + 1 if stage == "curves" else 1
            # Of mode 1, so that the names of mode 0 are read, once a process, before it is seeded.
            self._check_space(stage, self.load_mode(1), points, len(missing))
        return missing

    def check_trained(self, stage: str) -> None:
        """Checks that all that is trained is there, whole, and each made from the others; the
        ensemble, which costs little, is made from them again if it isn't.

        Raises:
            InputError: something is missing, damaged, or made from another file.
        """
        files, pairs = self.files, self.config.curves()
        results = [(files.mode(k), []) for k in range(self.config.num_modes)]
        results += [(files.curve(pair), self._ends(pair)) for pair in pairs]
        results += [(files.bridge(pair), self._bridge_sources(pair)) for pair in pairs]
        for target, sources in results:
            files.need([target], stage, "modes,curves,bridges")
            self.done(target, sources)
            files.need([target], stage, "modes,curves,bridges")  # repair sets damaged ones aside
        self._write_ensemble()

    def _write_ensemble(self) -> None:
        """Puts base and bridges together, unless that is done."""
        pairs, num_modes = self.config.curves(), self.config.num_modes
        modes = [
            self.files.mode(k) for k in range(num_modes if self.config.bridge_type == 2 else 1)
        ]
        parts = [*modes, *(self.files.bridge(pair) for pair in pairs)]
        if self.files.current(self.files.ensemble, parts):
            return
        size = 2 * sum(path.stat().st_size for path in parts)
        check_space("--workdir", self.files.path, size, "the ensemble")
        forget_names()
        with self.files.writing(self.files.ensemble, parts) as partial:
            write_model(self.build_ensemble(len(pairs)), partial)

    def _ends(self, pair) -> list[pathlib.Path]:
        return [self.files.mode(k) for k in pair]

    def _bridge_sources(self, pair) -> list[pathlib.Path]:
        return [*self._ends(pair), self.files.curve(pair)]

    def _check_space(self, stage: str, network, networks: int, missing: int) -> None:
        """Checks that the disk has room for a stage.

        Args:
            networks: the weights of a result, in networks.
            missing: results to be written.
        """
        size = 4 * network.count_params()
        # Weights and momentum, of two epochs, of a step in one, and while one is replaced.
        checkpoints = 4 * 2 * networks * size
        # A result is written twice, with the time and without it.
        wanted = (missing + 1) * networks * size + checkpoints
        check_space("--workdir", self.files.path, wanted, f"the stage {stage}")
