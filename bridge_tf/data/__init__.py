"""Image data: four kinds of sources, and batches for training and evaluation."""

from bridge_tf.data.batches import steps_per_epoch, training_batches
from bridge_tf.data.dataset import Dataset, Split
from bridge_tf.data.load import load_dataset

__all__ = [
    "Dataset",
    "Split",
    "load_dataset",
    "steps_per_epoch",
    "training_batches",
]
