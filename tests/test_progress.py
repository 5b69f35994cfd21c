import keras
import numpy as np

from bridge_tf.progress import TrainingProgress, track


def test_away_from_a_terminal_a_stage_is_one_line(capsys):
    assert list(track("evaluate", [1, 2, 3])) == [1, 2, 3]
    assert capsys.readouterr().err == "evaluate\n"


def test_away_from_a_terminal_a_training_is_one_line(capsys):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with TrainingProgress("mode 1 of 2", images_per_step=4) as progress:
        model.fit(
            np.ones((8, 3)), np.ones(8), batch_size=4, epochs=2, verbose=0, callbacks=[progress]
        )
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mode 1 of 2: 2 epochs in 0 s, loss ")
