import re

import keras
import numpy as np

from bridge_tf.progress import track
from bridge_tf.training_progress import TrainingProgress


def test_away_from_a_terminal_a_stage_is_one_line(capsys):
    assert list(track("evaluate", [1, 2, 3])) == [1, 2, 3]
    assert capsys.readouterr().err == "evaluate\n"


def test_away_from_a_terminal_a_training_is_one_line(capsys):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    ones = np.ones((8, 3)), np.ones(8)
    with TrainingProgress("mode 1 of 2", 4, epochs=2, steps_per_epoch=2) as progress:
        # In two pieces, as a training that was interrupted.
        for first in (0, 1):
            options = {"initial_epoch": first, "epochs": first + 1, "verbose": 0}
            model.fit(*ones, batch_size=4, callbacks=[progress], **options)
    (line,) = capsys.readouterr().err.splitlines()
    assert re.match(r"mode 1 of 2: 2 epochs in \d+ s, loss ", line)
