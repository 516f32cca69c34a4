"""Ops as containers of a Docker engine. Importing it loads nothing of it."""
