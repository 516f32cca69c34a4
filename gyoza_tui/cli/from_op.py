"""`submit` in an op: over the op's own socket, so that its run has no slot while it waits for the runs it creates."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from gyoza_tui.cli.connection_flags import Connection
from gyoza_tui.cli.failures import CliError, usage
from gyoza_tui.cli.flags.ad_hoc import AdHoc

if TYPE_CHECKING:
    from gyoza_tui.op import Child

_SENT: Final = frozenset({"--cpu", "--ram", "--vram", "--gpu", "--retry", "--timeout"})


def has_socket(flags: Connection) -> bool:
    """Whether this is an op that may create runs, and no other server is named."""
    return bool(os.environ.get("GYOZA_SOCKET")) and flags.server is None


def without_socket(*, wait: bool) -> str | None:
    """What an op without a socket is told; None for one that has a socket, and outside of ops."""
    if os.environ.get("GYOZA_SOCKET") or not os.environ.get("GYOZA_RUN_ID"):
        return None
    from gyoza_tui import op

    words = f"{op.why_no_socket()}; what it submits is no child of its run"
    return f"{words}, which keeps its slot while it waits" if wait else words


def submit(target: str, inputs: dict[str, Any], flags: AdHoc, *, count: int, wait: bool, as_json: bool) -> None:
    """Create the runs and print their ids; with `wait` their ends. CliError (exit 1) unless all are COMPLETED."""
    from gyoza_tui import op
    from gyoza_tui.cli import terminal

    if others := [flag for flag in flags.given() if flag not in _SENT]:
        raise usage(f"in an op a run takes inputs, --count, {', '.join(sorted(_SENT))}: leave out {', '.join(others)}")
    fields = flags.as_fields()
    constraints, timeout_s = fields.get("constraints"), fields.get("timeout_s")
    try:
        children = []
        for _ in range(count):
            child = op.submit(target, inputs, constraints=constraints, timeout_s=timeout_s, retry=flags.retry)
            children.append(child)
            if not as_json:
                terminal.out(child.id)
            elif not wait:
                terminal.out_json({"id": child.id, "state": child.state()})
        if wait:
            _wait(children, as_json)
    except (op.SubmitRefused, op.NotUnderGyoza) as refusal:
        raise CliError(str(refusal)) from None


def _wait(children: list[Child], as_json: bool) -> None:
    from gyoza_tui import op
    from gyoza_tui.cli import terminal

    faults = []
    op.wait(children)
    for child in children:
        fault = child.exception()
        if fault is not None:
            faults.append(str(fault))
        outputs = child.result() if fault is None else {}
        if as_json:
            terminal.out_json({"id": child.id, "state": fault.state if fault else "COMPLETED", "outputs": outputs})
        elif len(children) == 1 and fault is None:
            terminal.out_json(outputs)
    if faults:
        raise CliError("\n".join(faults))
