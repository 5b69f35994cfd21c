"""The report of a run, as pages for people."""

from bridge_tf.report.markdown import render_markdown, render_table
from bridge_tf.report.pages import write_pages
from bridge_tf.report.reader import read_report

__all__ = ["read_report", "render_markdown", "render_table", "write_pages"]
