"""Ops as containers of a Docker engine."""

from gyoza_tui.backends.docker.backend import DockerBackend

__all__ = ["DockerBackend"]
