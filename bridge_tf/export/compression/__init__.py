"""Compressing a finished ensemble: training for quantization, pruning, clustering of weights.

TensorFlow Model Optimization, which does the work, knows models of `tf_keras` alone, and importing
it sets TF_USE_LEGACY_KERAS for the whole process. So it is imported in a process of its own only:
`plan.py` writes the ensemble down as plain data; `worker.py`, in that process, has `rebuild.py`
build it anew of `tf_keras` layers and `methods.py` compress it. This package's other modules import
no `tf_keras`.
"""
