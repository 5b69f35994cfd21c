"""A report as it is shown by `print` and in notebooks."""

import markupsafe

from bridge_tf.report.markdown import render_table
from bridge_tf.report.recommendation import recommendation
from bridge_tf.report.tables import comparison


class Report(dict):
    """The content of report.json.

    `str` and notebooks show the recommendation and the table of all ways of ensembling.
    """

    def __str__(self) -> str:
        sentence = "".join(text for text, _ in recommendation(self)).strip()
        return "\n".join(filter(None, [sentence, render_table(self)]))

    def _repr_html_(self) -> str:
        headings, rows = comparison(self)
        escape = markupsafe.escape
        pieces = [(escape(text), bold) for text, bold in recommendation(self)]
        sentence = "".join(f"<b>{text}</b>" if bold else text for text, bold in pieces)
        head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
        cells = [
            "".join(
                f"<td><b>{escape(text)}</b></td>" if best else f"<td>{escape(text)}</td>"
                for text, best in row
            )
            for row in rows
        ]
        body = "".join(f"<tr>{row}</tr>" for row in cells)
        return (
            f"<p>{sentence}</p><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )
