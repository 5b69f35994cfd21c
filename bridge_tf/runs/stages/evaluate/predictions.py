"""Log-probabilities of all that a run trained, on the images that its report measures."""

import functools
import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from bridge_tf import data
from bridge_tf.curves.curve import Curve
from bridge_tf.ensembles.bridge_ensemble import BridgeEnsemble
from bridge_tf.evaluation import metrics
from bridge_tf.evaluation.scores import network_predictor
from bridge_tf.runs.rows import base_member
from bridge_tf.runs.stages.evaluate.baseline_sources import baseline_sources
from bridge_tf.runs.stages.evaluate.sources import Source
from bridge_tf.runs.status import measured_files
from bridge_tf.utils.errors import TrainingError
from bridge_tf.utils.npz_cache import KeptPredictions
from bridge_tf.utils.terminal import track


class Predictions:
    """Log-probabilities on test and validation split of all that a run trained.

    Members are named ("mode", k), ("member", pair, r) for what the run's bridges predict, a curve's
    members at their positions, ("bridge", pair, r), and (BASELINE, k).

    Attributes:
        base: the name of the bridges' base.
        sources: what members' predictions come from; `add` appends one.
        log_probs: by member's name, N×classes on test and on validation split.
        walks: of each pair what was measured along its curve and along the straight line.
    """

    def __init__(self, run):
        self.splits: list[data.Split] = [run.data.test, run.data.validation]
        self.pairs, self.base = run.config.bridge_pairs(), base_member(run.config)
        self.positions = run.positions
        made_from = [run.files.manifest.digests(measured_files(run)), run.inputs]
        self.kept = KeptPredictions(run.files.checkpoints(run.files.report), made_from)
        self.sources: list[Source] = []
        self.log_probs: dict[tuple, list[np.ndarray]] = {}
        self.walks: dict[tuple, tuple[list[dict], list[dict]]] = {}
        self._opened: dict[str, Callable] = {}
        self._predictor = network_predictor()  # of modes and members, which are of one architecture
        # All files are read first, so that a damaged one is found at once.
        self.models = [run.load_mode(k) for k in range(run.config.num_modes)]
        self.ensemble = run.load(run.files.ensemble, BridgeEnsemble)
        curves = {pair: run.load_curve(pair) for pair in run.config.curves()}
        jobs = [functools.partial(self.add, source) for source in self._modes()]
        jobs += [functools.partial(self._walk, run, *item) for item in curves.items()]
        jobs += [functools.partial(self._name_targets, run.config.bridge_target)] * (not curves)
        jobs += [functools.partial(self.add, self._bridges(run))]
        jobs += [functools.partial(self.add, source) for source in baseline_sources(run)]
        for job in track("evaluate: predictions of modes, curves and bridges", jobs):
            job()

    def _modes(self) -> list[Source]:
        return [
            Source(f"mode-{k}", [("mode", k)], lambda mode=mode: mode, self._predictor)
            for k, mode in enumerate(self.models)
        ]

    def _bridges(self, run) -> Source:
        # A base that is a mode has been predicted with.
        base = None if self.base[0] == "mode" else self.base
        modes = [base, *[None] * len(self.ensemble.other_modes)]
        bridges = [("bridge", *place) for place in run.places(self.pairs)]
        return Source("ensemble", modes + bridges, lambda: self.ensemble)

    def _name_targets(self, target: str) -> None:
        """Gives what bridges without curves predict the names of curves' members."""
        modes = range(len(self.models))
        for pair in self.pairs:
            members = modes if target == "ensemble" else pair[1:]
            for r in self.positions:
                self.log_probs["member", pair, r] = self.of_ensemble([("mode", k) for k in members])

    def add(self, source: Source) -> None:
        """Predicts a source's members on both splits, and in later calls of `on`.

        Raises:
            TrainingError: it predicts NaN.
        """
        images = [split.images for split in self.splits]
        found = map(source.by_member, self._predict(source.name, source.open, images))
        test, validation = found
        self.log_probs |= {name: [test[name], validation[name]] for name in test}
        self.sources.append(source)

    def on(
        self, name: str, images: np.ndarray, only: tuple | None = None
    ) -> dict[tuple, np.ndarray]:
        """Log-probabilities of all members on other images, by member's name, N×classes; or of the
        members whose model is that of `only`.

        They are kept on disk, under `name`, until the report is written; models stay open for the
        next images. `images` are N×H×W×C, of the run's size and channels, raw pixels 0…255.

        Raises:
            TrainingError: a source predicts NaN.
        """
        digest = hashlib.blake2b(np.ascontiguousarray(images).data, digest_size=8).hexdigest()
        found = {}
        for source in self.sources if only is None else self._sources_of(only):
            file = f"{source.name}-on-{name}-{digest}"
            (log_probs,) = self._predict(file, functools.partial(self._open, source), [images])
            found |= source.by_member(log_probs)
        return found

    def _sources_of(self, member: tuple) -> list[Source]:
        return [source for source in self.sources if member in source.members]

    def _open(self, source: Source) -> Callable:
        if source.name not in self._opened:
            self._opened[source.name] = source.open()
        return self._opened[source.name]

    def _predict(self, name: str, opened, images: Sequence[np.ndarray], trained=True):
        """Predictions of each array of images by what `opened` gives; all must be numbers if it was
        trained.
        """

        def predict():
            predictor = opened()
            for array in images:
                yield _checked(name, predictor(array), len(array), trained)

        return self.kept.get(name, predict)

    def _walk(self, run, pair, curve) -> None:
        """Predicts the members that bridges follow; measures points along curve and line."""
        # Of the curve's own ends, since those of aligned curves aren't the modes'.
        line = Curve.between(curve.model_at(0), curve.model_at(1), degree=1)

        def source(path, kind: str, r: float, splits: int) -> Source:
            name = f"{kind}-{pair[0]}-{pair[1]}-{r!r}-of-{splits}"
            model = functools.partial(run.member, path, r)
            return Source(name, [("member", pair, r)], model, self._predictor)

        def on_test(path, kind: str, r: float) -> np.ndarray:
            found, images = source(path, kind, r, 1), [self.splits[0].images]
            return self._predict(found.name, found.open, images, trained=path is curve)[0]

        for r in self.positions:
            self.add(source(curve, "member", r, len(self.splits)))
        points, on_line = [], []
        for r in map(float, np.linspace(0, 1, run.config.curve_points)):
            if r in (0, 1):
                found = [self.log_probs["mode", pair[int(r)]][0]] * 2
            else:
                straight = on_test(line, "line", r)
                known = self.log_probs.get(("member", pair, r))
                found = [known[0] if known else on_test(curve, "member", r), straight]
            for place, log_probs in zip((points, on_line), found, strict=True):
                place.append({"r": r, **self._point(log_probs)})
        self.walks[pair] = points, on_line

    def _point(self, log_probs) -> dict:
        """Accuracy and NLL; None where a network between modes predicts NaN."""
        if np.isnan(log_probs).any():
            return {"accuracy": None, "nll": None}
        labels = self.splits[0].labels
        return {
            "accuracy": metrics.accuracy(log_probs, labels),
            "nll": metrics.nll(log_probs, labels),
        }

    def of_ensemble(self, members: list[tuple]) -> list[np.ndarray]:
        """Log-probabilities of the mean of these members, on test and validation split."""
        return [
            metrics.ensemble_log_probs([self.log_probs[name][k] for name in members])
            for k in range(2)
        ]

    def accuracies(self) -> list[float]:
        """Accuracy of each mode on the test split."""
        labels = self.splits[0].labels
        modes = (self.log_probs["mode", k][0] for k in range(len(self.models)))
        return [metrics.accuracy(log_probs, labels) for log_probs in modes]

    def validation_errors(self) -> int:
        """How many validation images the base is wrong on."""
        labels = self.splits[1].labels
        return int((self.log_probs[self.base][1].argmax(axis=-1) != labels).sum())


def _checked(name: str, log_probs: np.ndarray, images: int, trained: bool) -> np.ndarray:
    """The predictions (…×N×classes), of which there must be one an image; those of what was
    trained must be numbers.
    """
    if log_probs.shape[-2] != images:
        raise RuntimeError(f"{log_probs.shape[-2]} predictions of {images} images")
    if trained and np.isnan(log_probs).any():
        raise TrainingError(
            f"{name} answers with what is not a number; train with a lower `learning_rate` in "
            "another `workdir`"
        )
    return log_probs
