"""What the two ends of a control socket agree on."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

from gyoza_tui.worker.control_socket.parts import Encoder, codec
from gyoza_tui.worker.control_socket.wire import SCHEMA, Codec, Hello, call_types
from gyoza_tui.worker.view.control import WorkerControl
from tests.ui.fake_control import FakeControl
from tests.ui.recording import load

PINNED: Final = (5, "b638c04392c14c07")
CHANGED: Final = """what goes over a control socket has changed, so that another version would misunderstand it:
raise SCHEMA in gyoza_tui/worker/control_socket/wire.py, and pin here {now!r}.
Only when nothing but pydantic's version has changed, SCHEMA may stay."""


def test_who_changes_what_goes_over_the_socket_raises_its_schema() -> None:
    digest = hashlib.sha256(json.dumps(_everything(), sort_keys=True).encode()).hexdigest()[:16]
    now = (SCHEMA, digest)
    assert now == PINNED, CHANGED.format(now=now)


def _everything() -> dict[str, Any]:
    names = [name for name, member in vars(WorkerControl).items() if callable(member) and not name.startswith("_")]
    shown = Encoder(FakeControl.of(load("busy"))).shown()
    kinds = {part.partition("/")[0] for part in shown.parts} | {"log", "samples", "notices"}
    assert {"pause", "details", "log_bytes"} <= set(names)
    assert {"run", "duty", "link"} <= kinds
    return {
        "hello": _shape(Codec[Hello](Hello).schema()),
        "calls": {name: _call(name) for name in names},
        "parts": {kind: _shape(codec(kind).schema()) for kind in kinds},
    }


def _call(name: str) -> dict[str, Any]:
    types = call_types(name)
    arguments = {argument: _shape(codec.schema()) for argument, codec in types.arguments.items()}
    required = [each.name for each in types.signature.parameters.values() if each.default is each.empty]
    result = "pieces" if types.result is None else _shape(types.result.schema())
    return {"arguments": arguments, "required": required, "result": result}


def _shape(schema: Any) -> Any:
    """Without what is for people only."""
    if isinstance(schema, dict):
        words = [key for key in ("title", "description") if isinstance(schema.get(key), str)]
        return {key: _shape(value) for key, value in schema.items() if key not in words}
    return [_shape(each) for each in schema] if isinstance(schema, list) else schema
