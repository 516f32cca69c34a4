"""What other libraries do not document is used in one file for each: there it is looked up when one is upgraded."""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

import gyoza_tui

ROOT: Final = Path(gyoza_tui.__file__).parent
FILES: Final = {
    "docker": "backends/docker/client.py",
    "httpx": "__main__.py",
    "textual": "ui/tty/textual_internals.py",
    "typer": "cli/completion/shells.py",
    "uvicorn": "server/uvicorn_internals.py",
}
UNDOCUMENTED: Final = ("docker.transport", "textual.drivers", "uvicorn.protocols", "uvicorn.server")
"""Modules without an underscore that are none the less inside."""
PUBLIC: Final = {"_asdict", "_exit", "_fields", "_make", "_replace"}
"""Of namedtuples, and `os._exit`."""
SOURCES: Final = [
    path
    for path in sorted(ROOT.rglob("*.py"))
    if path.parent.name != "demo"
    and path.name != "__main__.py"
    and path not in {ROOT / each for each in FILES.values()}
]
"""Without scripts: loading one runs it."""


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in PUBLIC


def others(module: str) -> bool:
    """Whether it is another library's."""
    top = module.partition(".")[0]
    return top != "gyoza_tui" and top not in sys.stdlib_module_names


def inside(module: str) -> bool:
    """Whether that library does not document it."""
    hidden = any(private(part) for part in module.split("."))
    return others(module) and (hidden or f"{module}.".startswith(tuple(f"{each}." for each in UNDOCUMENTED)))


def imports(tree: ast.AST) -> Iterator[str]:
    """What is imported of the inside of a library; a string may name a module of it too."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (each.name for each in names if inside(each.name))
            case ast.ImportFrom(module=str(module), names=names):
                yield from (full for each in names if inside(full := f"{module}.{each.name}"))
            case ast.Constant(value=str(text)) if text.partition(".")[0] in FILES and inside(text):
                yield text


def through_objects(tree: ast.AST) -> Iterator[str]:
    """Private names of other objects than `self`, but for those that the file gives a meaning itself."""
    given = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name, value=ast.Name(id="self" | "cls"), ctx=ast.Store()):
                given.add(name)
            case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
                given.add(name)
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name, value=value) if private(name) and name not in given and not own(value):
                yield ast.unparse(node)


def through_bases(module: ModuleType) -> Iterator[str]:
    """Private names that a class has or uses, and that a class of another library below it gives a meaning."""
    for ours in vars(module).values():
        if isinstance(ours, type) and ours.__module__ == module.__name__:
            used = names_of(ours) & {
                name for base in ours.__mro__ if others(base.__module__) for name in names_of(base)
            }
            yield from (f"{ours.__name__}.{name}" for name in used - _KEPT_BY_CLASSES)


_KEPT_BY_CLASSES: Final = {
    "_abc_impl",
    *("_computes", "_css_type_name", "_css_type_names", "_decorated_handlers", "_inherit_bindings"),
    *("_inherit_component_classes", "_inherit_css", "_merged_bindings", "_reactives"),
}
"""Textual writes them into each class of a widget."""


@cache
def names_of(kind: type) -> frozenset[str]:
    """Private names that it has, and those that it uses of itself."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(kind)))
    except (OSError, TypeError, SyntaxError):  # made at run time, or not in Python
        return frozenset(filter(private, vars(kind)))
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and own(node.value)}
    return frozenset(filter(private, used | vars(kind).keys()))


def own(value: ast.expr) -> bool:
    match value:
        case ast.Name(id="self" | "cls") | ast.Call(func=ast.Name(id="super")):
            return True
    return False


def found_in(source: str) -> set[str]:
    tree = ast.parse(source)
    return {*imports(tree), *through_objects(tree)}


@pytest.mark.timeout(300)
def test_no_private_name_of_another_library_is_used_elsewhere() -> None:
    found = {path: found_in(path.read_text()) | set(through_bases(loaded(path))) for path in SOURCES}
    assert {path: names for path, names in found.items() if names} == {}


def loaded(path: Path) -> ModuleType:
    name = ".".join(("gyoza_tui", *path.relative_to(ROOT).with_suffix("").parts))
    return importlib.import_module(name.removesuffix(".__init__"))


@pytest.mark.parametrize(("library", "file"), FILES.items())
def test_each_library_has_its_file_which_says_what_version_was_read(library: str, file: str) -> None:
    source = (ROOT / file).read_text()
    assert any(name.startswith(library) for name in imports(ast.parse(source)))
    assert "as read at " in source


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("from textual._compositor import Compositor", "textual._compositor.Compositor"),
        ("from textual.app import _thing", "textual.app._thing"),
        ("import uvicorn.server", "uvicorn.server"),
        ("sys.modules['httpx._main'] = None", "httpx._main"),
        ("app._driver.write('')", "app._driver"),
        ("self.app._driver.write('')", "self.app._driver"),
    ],
)
def test_how_one_is_found(source: str, expected: str) -> None:
    assert found_in(source) == {expected}


def test_what_is_ours_is_not_found() -> None:
    assert (
        found_in("class A:\n  def _a(self): ...\n  def b(self, other): other._a()._replace(); self._x; super()._y")
        == set()
    )


def test_one_that_a_class_takes_from_its_base_is_found() -> None:
    from textual.widget import Widget

    class Ours(Widget):
        def _render(self) -> Any:
            return self._size

    module = ModuleType(__name__)
    vars(module)["Ours"] = Ours
    assert {"Ours._render", "Ours._size"} <= set(through_bases(module))
