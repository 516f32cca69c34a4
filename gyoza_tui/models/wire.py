"""The base of every type that travels as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler
    from pydantic_core.core_schema import CoreSchema


class Wire(BaseModel):
    """A wire type: unknown fields are ignored on both sides, so that either side may be the newer one.

    Each is built at first use, of all of which a program uses few; `build_all` is for one that uses them all.
    """

    model_config = ConfigDict(extra="ignore", defer_build=True, ser_json_inf_nan="null")

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """With the docstrings as descriptions, read only here: pydantic would read them at each start of anything."""
        from gyoza_tui.models.docstrings import attribute_docstrings

        made = handler.resolve_ref_schema(described := handler(schema))
        for name, text in attribute_docstrings(cls).items():
            made["properties"].get(name, {}).setdefault("description", text)
        return described


def build_all(kind: type[Wire] = Wire) -> None:
    """Build the wire types that are imported, so that adapters made of them are whole at once too."""
    kind.model_config["defer_build"] = False
    kind.model_rebuild()
    for each in kind.__subclasses__():
        build_all(each)
