"""The live demo: a page that runs an exported model in the browser, and the server for it."""
