"""What the embedded server's process and its parent tell each other: a line of JSON each way."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel


class Orders(BaseModel):
    """By standard input, whose end is the order to leave."""

    worker_dir: Path
    """Where its files are."""
    port: int
    """0 takes a free one."""
    secret_env_days: float


class Answer(BaseModel):
    """By standard output: where the server is, or why there is none."""

    url: str = ""
    error: str = ""
