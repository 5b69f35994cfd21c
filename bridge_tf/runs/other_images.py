"""The images of a run's `ood_dataset`."""

import numpy as np

from bridge_tf.data.ood_images import load_other_images
from bridge_tf.runs.context import Run


def other_images(run: Run) -> tuple[str, np.ndarray]:
    """The name of the other data, and its test images as the run's networks take them.

    Raises:
        InputError: they can't be read, or can't be brought to the size and channels.
    """
    config = run.config
    return load_other_images(
        config.ood_dataset,
        config.data_dir or None,
        run.data.image_shape,
        skip_bad_images=config.skip_bad_images,
        max_images=config.max_images,
    )
