"""The ids of children: the same call of the same parent gives the same id, in every attempt and at every worker."""

from __future__ import annotations

import json
import uuid
from typing import Final

from gyoza_tui.worker.op_channel.messages import Submit

_OURS: Final = uuid.UUID("6a3f6c0e-5a0b-5b0e-9a51-0f6e2f0d7c11")
_NOT_SAID: Final = frozenset({"do", "key", "nth"})


def child_id(parent_id: str, submit: Submit) -> str:
    """By its key; without one by all that was said, and how many equal calls were made before.

    What was left at its default is not part of it, so that a field which a later version adds changes no id.
    """
    of_parent = uuid.uuid5(_OURS, parent_id)
    if submit.key is not None:
        return str(uuid.uuid5(of_parent, f"key:{submit.key}"))
    said = submit.model_dump(mode="json", exclude=set(_NOT_SAID), exclude_defaults=True)
    canonical = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return str(uuid.uuid5(of_parent, f"call {submit.nth}:{canonical}"))
