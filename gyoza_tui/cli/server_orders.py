"""What the embedded server's process and its parent tell each other: a line of JSON each way."""

from __future__ import annotations

from pydantic import BaseModel, Field


class Orders(BaseModel):
    """By standard input: arguments and environment can be read by others, and one of these is the key."""

    database: str
    key: str = Field(repr=False)
    port: int
    """0 takes a free one."""


class Answer(BaseModel):
    """By standard output: where the server is, or why there is none."""

    url: str = ""
    error: str = ""
