"""The docstrings of a class' attributes, read when a documentation is made: Python keeps none of them."""

from __future__ import annotations

import ast
import inspect
import textwrap
from itertools import pairwise


def attribute_docstrings(cls: type) -> dict[str, str]:
    """What stands below each attribute, those of its bases first. Classes without source have none."""
    found: dict[str, str] = {}
    for each in reversed(cls.__mro__):
        if each.__module__.partition(".")[0] == __name__.partition(".")[0]:
            found |= _own(each)
    return found


def _own(cls: type) -> dict[str, str]:
    """Of the class itself."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    assert isinstance(definition, ast.ClassDef)
    return {
        attribute.target.id: inspect.cleandoc(text)
        for attribute, below in pairwise(definition.body)
        if isinstance(attribute, ast.AnnAssign)
        and isinstance(attribute.target, ast.Name)
        and isinstance(below, ast.Expr)
        and isinstance(below.value, ast.Constant)
        and isinstance(text := below.value.value, str)
    }
