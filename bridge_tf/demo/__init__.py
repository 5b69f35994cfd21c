"""The demo: a page that runs an exported model in the browser, and its server."""
