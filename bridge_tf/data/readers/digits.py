"""scikit-learn's handwritten digits."""

import numpy as np

from bridge_tf.data.dataset import Source, Split

_NUM_TEST = 797


def read_digits() -> Source:
    """1,797 grey images of 8×8 pixels (Alpaydin and Kaynak, UCI, 1998), 797 of them for testing."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    images = np.round(digits.images * (255 / 16)).astype("uint8")[..., np.newaxis]
    everything = Split(images, digits.target.astype("int32"))
    train, test = train_test_split(
        np.arange(len(everything)),
        test_size=_NUM_TEST,
        random_state=0,
        stratify=everything.labels,
    )
    names = tuple(str(name) for name in digits.target_names)
    return Source("digits", names, everything.take(train), everything.take(test))
