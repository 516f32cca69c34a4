"""The embedded gyoza server."""
