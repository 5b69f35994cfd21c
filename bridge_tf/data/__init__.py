"""Image data: four kinds of source, and batches for training and evaluation."""

from bridge_tf.data.load import load_dataset
from bridge_tf.data.pipeline import evaluation_batches, steps_per_epoch, training_batches
from bridge_tf.data.types import Dataset, Split

__all__ = [
    "Dataset",
    "Split",
    "evaluation_batches",
    "load_dataset",
    "steps_per_epoch",
    "training_batches",
]
