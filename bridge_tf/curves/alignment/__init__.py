"""Matching the neurons of two modes, before a curve is trained between them."""

from bridge_tf.curves.alignment.align import METHODS, align

__all__ = ["METHODS", "align"]
