"""Compressing an ensemble: quantization-aware training, pruning, clustering of weights.

TensorFlow Model Optimization takes only `tf_keras` models, and importing it sets
TF_USE_LEGACY_KERAS for the whole process. So it runs in a process of its own: `plan.py` writes the
ensemble as plain data; in that process, `worker.py`, `rebuild.py` builds it again from `tf_keras`
layers and `methods.py` compresses it. The other modules don't import `tf_keras`.
"""
