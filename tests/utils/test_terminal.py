import io
import logging
import re
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
from rich.console import Console

from bridge_tf.cli.messages import messages_on_terminal
from bridge_tf.training.callbacks import progress as training_progress
from bridge_tf.training.callbacks import step_timer
from bridge_tf.training.callbacks.progress import TrainingProgress
from bridge_tf.utils import terminal as progress
from bridge_tf.utils.terminal import logger, told_to, track
from tests.conftest import REPOSITORY


@pytest.fixture
def command():
    """A command runs."""
    with messages_on_terminal(-1, str):
        yield


@pytest.fixture
def terminal(monkeypatch):
    """A terminal of 80 columns as standard error: what is drawn on it."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()

    def console():
        return Console(file=terminal, force_terminal=True, width=80, _environ={})

    monkeypatch.setattr(progress, "bar_console", console)
    monkeypatch.setattr(training_progress, "bar_console", console)
    return terminal


@pytest.fixture
def clock(monkeypatch):
    """The time, which stands until it is put on."""

    class Clock:
        now = 0.0

        def perf_counter(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(step_timer, "time", clock)
    monkeypatch.setattr(training_progress, "time", clock)
    return clock


@pytest.fixture
def model():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def train(clock, callback, model, epochs, seconds, logs):
    """Calls a callback as `fit` does; `seconds` has those of each step, by epoch."""
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, steps in zip(epochs, seconds, strict=True):
        callback.on_epoch_begin(epoch)
        for batch, step in enumerate(steps):
            clock.now += step
            callback.on_train_batch_end(batch, logs)
        model.optimizer.iterations.assign_add(len(steps))
        callback.on_epoch_end(epoch, logs)
        clock.now += 2  # a checkpoint
    callback.on_train_end(logs)


def test_away_from_a_terminal_a_stage_is_one_line(capsys, command):
    assert list(track("evaluate", [1, 2, 3])) == [1, 2, 3]
    assert capsys.readouterr().err == "evaluate\n"


def test_away_from_a_terminal_an_epoch_is_a_line(capsys, command, model, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # which rich takes for a terminal
    ones = np.ones((8, 3)), np.ones(8)
    losses = []
    with TrainingProgress("mode 1 of 2", 4, epochs=2, steps_per_epoch=2) as progress:
        # In two pieces, as a training that was interrupted.
        for first in (0, 1):
            options = {"initial_epoch": first, "epochs": first + 1, "verbose": 0}
            history = model.fit(*ones, batch_size=4, callbacks=[progress], **options)
            losses += [f"{loss:.4f}" for loss in history.history["loss"]]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    for k, loss in enumerate(losses):
        pace = r"[\d,]+ images/s, 0:00:00 left"
        assert re.fullmatch(rf"mode 1 of 2: epoch {k + 1}/2, loss {loss}, {pace}", lines[k])
    assert re.fullmatch(rf"mode 1 of 2: 2 epochs in \d+ s, loss {losses[1]}", lines[2])


def test_pace_and_time_left_of_an_interrupted_training(capsys, command, clock, model):
    logs = {"accuracy": 0.98765, "loss": 0.12344}
    model.optimizer.iterations.assign(7)  # of 5 × 4 steps
    with TrainingProgress("mode 1 of 4", 1000, epochs=5, steps_per_epoch=4) as progress:
        train(clock, progress, model, [1], [[20]], logs)
        assert model.optimizer.iterations == 8
        train(clock, progress, model, [2, 3, 4], [[9, 0.5, 0.5, 0.5], [1] * 4, [4] * 4], logs)
    head, figures = "mode 1 of 4: ", "loss 0.1234, accuracy 0.9877"
    assert capsys.readouterr().err.splitlines() == [
        # Only of a step that compiles nothing else is known.
        f"{head}epoch 2/5, {figures}, 50 images/s, 0:04:00 left",
        # First steps of a `fit` are left out; 3 steps took 1.5 s and 8 are left.
        f"{head}epoch 3/5, {figures}, 2,000 images/s, 0:00:04 left",
        # 7 steps took 1.5 + 2 + 4 s, with the checkpoint between the epochs.
        f"{head}epoch 4/5, {figures}, 1,000 images/s, 0:00:04 left",
        f"{head}epoch 5/5, {figures}, 250 images/s, 0:00:00 left",
        f"{head}5 epochs in 58 s, {figures}",
    ]


def test_on_a_terminal_a_training_is_a_bar(capsys, command, clock, model, terminal):
    logs = {"accuracy": 0.9, "loss": 0.12344}
    with TrainingProgress("mode 1 of 4", 600, epochs=60, steps_per_epoch=2) as progress:

        def drawn():
            page = io.StringIO()
            Console(file=page, width=80).print(progress._bar.get_renderable())
            return re.sub("[━╸╺]", "", page.getvalue()).split()

        train(clock, progress, model, [0], [[20]], logs)
        assert drawn() == "mode 1 of 4 compiling".split()
        train(clock, progress, model, [0, 1], [[0.5], [0.4]], logs)
        place, figures = "mode 1 of 4 epoch 2/60 loss", "0.1234 1,500 images/s"
        # Two steps were measured, with a checkpoint: 2 + 0.4 s for the one that counts.
        assert drawn() == f"{place} {figures} 0:04:41".split()
    assert "epoch 2/60" not in capsys.readouterr().err


@pytest.mark.parametrize("verbosity", [-2, -3])
def test_nothing_is_said_if_only_errors_are_wanted(capsys, clock, model, terminal, verbosity):
    with messages_on_terminal(verbosity, str):
        logger.warning("evaluate: WARNING: few images")
        logging.getLogger("some_library").warning("deprecated")
        warnings.warn("deprecated", UserWarning, stacklevel=1)
        assert list(track("evaluate", [1, 2])) == [1, 2]
        with TrainingProgress("mode 1 of 4", 600, epochs=1, steps_per_epoch=2) as progress:
            train(clock, progress, model, [0], [[1, 1]], {"loss": 0.1})
    assert capsys.readouterr().err == terminal.getvalue() == ""


@pytest.mark.parametrize("verbosity", [-1, 0, 1])
def test_progress_is_shown_at_every_other_verbosity(capsys, verbosity):
    with messages_on_terminal(verbosity, str):
        assert list(track("evaluate", [1])) == [1]
        logger.info("export")
    assert capsys.readouterr().err == "evaluate\nexport\n"


@pytest.mark.parametrize(("verbosity", "shown"), [(-1, []), (0, ["information"])])
def test_what_others_say_is_shown_from_warnings_on_or_if_asked_for(capsys, verbosity, shown):
    with messages_on_terminal(verbosity, str):
        logging.getLogger("some_library").warning("warning")
        logging.getLogger("some_library").info("information")
        logging.getLogger("tensorflow").warning("retracing")
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if "retracing" not in line] == ["warning", *shown]
    assert any("retracing" in line for line in lines) == (verbosity == 0)


def test_after_a_command_all_is_as_before(capsys):
    def state():
        loggers = [logging.getLogger(name) for name in (None, "bridge_tf", "tensorflow")]
        return [(x.level, x.propagate, list(x.handlers)) for x in loggers], warnings.filters[:]

    before = state()
    for verbosity in (-2, 1):
        with pytest.raises(OSError), messages_on_terminal(verbosity, str):
            raise OSError
        assert state() == before


def test_messages_are_in_the_words_of_the_command_line(capsys):
    with messages_on_terminal(-1, lambda text: text.replace("`taps`", "--taps")):
        logger.info("chosen by `taps`: 100%s")
    assert capsys.readouterr().err == "chosen by --taps: 100%s\n"


def test_python_users_see_warnings_and_can_redirect_the_rest(
    capsys, caplog, terminal, clock, model
):
    with TrainingProgress("mode 1 of 4", 600, epochs=1, steps_per_epoch=2) as progress:
        train(clock, progress, model, [0], [[1, 1]], {"loss": 0.1})
    assert list(track("evaluate", [1])) == [1]
    logger.warning("evaluate: few images")
    assert terminal.getvalue() == ""  # no bar
    assert caplog.messages == ["evaluate: few images"]
    caplog.clear()
    with caplog.at_level(logging.INFO, "bridge_tf"):
        assert list(track("evaluate", [1])) == [1]
        with TrainingProgress("mode 1 of 4", 600, epochs=1, steps_per_epoch=2) as progress:
            train(clock, progress, model, [0], [[1, 1]], {"loss": 0.1})
    assert caplog.messages[0] == "evaluate"
    assert [text.partition(":")[0] for text in caplog.messages[1:]] == ["mode 1 of 4"] * 2
    assert terminal.getvalue() == ""


def test_a_listener_alone_hears_the_messages(capsys, command):
    heard = []
    with told_to(heard.append):
        logger.info("begins")
        logger.warning("ends")
    logger.info("shown")
    assert heard == ["begins", "ends"]
    assert capsys.readouterr().err == "shown\n"


@pytest.mark.parametrize(("encoding", "written"), [("latin-1", b"\xd7 ?\n"), ("ascii", b"? ?\n")])
def test_output_is_printed_whatever_the_encoding(monkeypatch, encoding, written):
    file = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(file, encoding))
    with progress.usable_output():
        print("× →", flush=True)
    assert file.getvalue() == written
    with pytest.raises(UnicodeEncodeError):  # as it was
        print("→", flush=True)


@pytest.mark.integration
@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&-"])
def test_streams_that_are_closed(closed, tmp_path):
    program = f"{sys.executable} {REPOSITORY}/bin/predict --help {closed}"
    result = subprocess.run(program, shell=True, capture_output=True, text=True, cwd=tmp_path)
    line = "bridge-tf predict: standard output is closed; leave it open, or send it to a file\n"
    without_output = closed.startswith(">")
    assert result.returncode == (2 if without_output else 0)
    assert result.stderr == (line if closed == ">&-" else "")
    assert bool(result.stdout) != without_output
