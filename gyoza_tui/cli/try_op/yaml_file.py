"""YAML, read strictly: every value and key with its place, and no surprises.

Numbers, `true`, `false` and `null` are those of JSON; every other plain word is text, so that `no`, `1:30` and
`2026-11-20` stay what was written. No aliases, no tags, no key twice.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

import yaml

Path: TypeAlias = tuple[str | int, ...]
"""Of a value in a document: keys and numbers of list items."""

_TEXT: Final = "tag:yaml.org,2002:str"
_NULL: Final = "tag:yaml.org,2002:null"
_BOOL: Final = "tag:yaml.org,2002:bool"
_NUMBER: Final = "tag:yaml.org,2002:float"
_PLAIN: Final = frozenset({_TEXT, _NULL, _BOOL, _NUMBER, "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"})


class TextPlace(NamedTuple):
    """Both from 1."""

    line: int
    column: int


class YamlFault(Exception):
    """What is wrong with the file's YAML, and where."""

    def __init__(self, place: TextPlace, words: str) -> None:
        super().__init__(words)
        self.place = place


@dataclass(frozen=True)
class Document:
    value: Any
    values: dict[Path, TextPlace] = field(default_factory=dict)
    """Where each value begins."""
    keys: dict[Path, TextPlace] = field(default_factory=dict)
    """Where the key of each value in a mapping begins."""


def documents(text: str) -> list[Document]:
    """All documents of a file, without empty ones. Raises YamlFault."""
    found: list[Document] = []
    try:
        loader = _Loader(text)
        while loader.check_node():
            node = loader.get_node()
            if node is not None and not _is_empty(node):
                found.append(_document(node))
    except yaml.reader.ReaderError as error:
        raise YamlFault(_counted(text, error.position), "a character that YAML does not allow") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        words = " ".join(part for part in (error.context, error.problem) if part)
        raise YamlFault(_place(mark), words) from None
    except RecursionError:
        raise YamlFault(TextPlace(1, 1), "nested too deep") from None
    return found


class _Loader(yaml.BaseLoader):
    """Composes nodes; what they become is decided here, not by PyYAML."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            at: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
            raise YamlFault(_place(at.start_mark), "aliases (*name) are not taken: write the value out")
        return super().compose_node(parent, index)


for _tag, _words, _first in (
    (_NULL, r"null|~|", ["n", "~", ""]),
    (_BOOL, r"true|false", ["t", "f"]),
    (_NUMBER, r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?", list("-0123456789")),
):
    _Loader.add_implicit_resolver(_tag, re.compile(rf"(?:{_words})\Z"), _first)


def _is_empty(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == _NULL


def _document(root: yaml.Node) -> Document:
    document = Document(None)
    value = _value(root, (), document)
    return Document(value, document.values, document.keys)


def _value(node: yaml.Node, path: Path, document: Document) -> Any:
    document.values[path] = place = _place(node.start_mark)
    if node.tag not in _PLAIN:
        tag = node.tag.replace("tag:yaml.org,2002:", "!!")
        raise YamlFault(place, f"the tag {tag!a} is not taken: write the value plainly, or in quotes")
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, i), document) for i, item in enumerate(node.value)]
    mapping: dict[str, Any] = {}
    for key, item in node.value:
        place = _place(key.start_mark)
        if not isinstance(key, yaml.ScalarNode):
            raise YamlFault(place, "a key must be one word, not a list or mapping")
        name = _text(key)
        if name in mapping:
            raise YamlFault(place, f"the key {name!a} is there already, in line {document.keys[*path, name].line}")
        document.keys[*path, name] = place
        mapping[name] = _value(item, (*path, name), document)
    return mapping


def _text(node: yaml.ScalarNode) -> str:
    text: str = node.value
    try:
        text.encode()
    except UnicodeEncodeError:
        raise YamlFault(_place(node.start_mark), "half a character (a lone surrogate)") from None
    return text


def _scalar(node: yaml.ScalarNode) -> Any:
    text = _text(node)
    if node.tag == _TEXT:
        return text
    if node.tag == _NULL:
        return None
    try:
        return json.loads(text)
    except ValueError:
        raise YamlFault(_place(node.start_mark), f"{text[:40]!a} cannot be read as a value") from None


class _Mark(Protocol):
    """PyYAML's, of either of its parsers."""

    line: int
    column: int


def _place(mark: _Mark | None) -> TextPlace:
    return TextPlace(1, 1) if mark is None else TextPlace(mark.line + 1, mark.column + 1)


def _counted(text: str, position: int) -> TextPlace:
    before = text[:position]
    return TextPlace(before.count("\n") + 1, position - (before.rfind("\n") + 1) + 1)
