"""The report of a run, for people."""

from bridge_tf.report.markdown import render_markdown, render_table

__all__ = ["render_markdown", "render_table"]
