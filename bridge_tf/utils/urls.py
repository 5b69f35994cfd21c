"""URLs without what is secret in them."""

import re

_HIDDEN = "***"
# User and password before the host (a slash may be in them), and values of a query, which may be
# keys and signatures.
_USER = re.compile(r"([A-Za-z][\w+.-]*://)[^\s'\"`]+@")
_QUERY = re.compile(r"([A-Za-z][\w+.-]*://[^\s?#'\"`]*\?)[^\s'\"`#)]+")


def without_credentials(text: str) -> str:
    """A text in which the user and password and the query of each URL are `***`."""
    return _QUERY.sub(rf"\1{_HIDDEN}", _USER.sub(rf"\1{_HIDDEN}@", text))
