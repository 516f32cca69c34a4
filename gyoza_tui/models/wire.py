"""The base of every type that travels as JSON."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Wire(BaseModel):
    """A wire type: unknown fields are ignored on both sides, so that either side may be the newer one."""

    model_config = ConfigDict(extra="ignore", use_attribute_docstrings=True, ser_json_inf_nan="null")
