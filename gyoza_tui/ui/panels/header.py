"""The first line: is this worker well, and is there something that nobody has looked at."""

from __future__ import annotations

from datetime import tzinfo
from typing import Final
from urllib.parse import urlsplit

from textual import events
from textual.content import Content

from gyoza_tui.ui.badge import badge
from gyoza_tui.ui.format import clock, duration, moment, percent, size
from gyoza_tui.ui.options import UiOptions
from gyoza_tui.ui.outside_text import cut, one_line, plain_line
from gyoza_tui.ui.run.phases import FINISHED
from gyoza_tui.ui.why_nothing_runs import Cause, Reason, server_trouble, since
from gyoza_tui.ui.widgets.lines import Lines
from gyoza_tui.ui.widgets.squeeze import GONE, Fact, Form, squeezed
from gyoza_tui.worker.view.snapshot import UNCHECKED, Snapshot

_NAME_MAX: Final = 40
_NAME_SHORT: Final = 16
_HOST_MAX: Final = 40
_WORDS_MAX: Final = 60
_TROUBLE: Final = {
    Cause.NAME_HELD: ("name held by another worker", "name held"),
    Cause.KEY_REFUSED: ("key refused", "key refused"),
    Cause.UNREACHABLE: ("unreachable", "down"),
}
_SHORT: Final = {"docker": "dkr"}
_BAD: Final = "bold $text-error"
_OK: Final = Content.styled("✓", "$text-success")


class Header(Lines):
    def __init__(self, options: UiOptions) -> None:
        super().__init__(id="header")
        self._options = options
        self._snapshot: Snapshot | None = None
        self.only_line = False
        """Whether it is all that the screen shows: then it says what runs, too."""

    def show_snapshot(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        width = (self.size.width or self.screen.size.width) - 2  # the first time it has no place yet
        if width > 0:
            line = glance(snapshot, width) if self.only_line else header_line(snapshot, self._options, width)
            self.show_lines((Content.assemble(" ", line),))

    def on_resize(self, event: events.Resize) -> None:
        if self._snapshot is not None:
            self.show_snapshot(self._snapshot)


def header_line(snapshot: Snapshot, options: UiOptions, width: int) -> Content:
    zone = options.clock.zone
    now = Content.styled(clock(options.clock.utc(), zone), "$text-muted")
    label = "attached to " if options.attached else "gyoza "
    left = [_name(snapshot, label), _badge(snapshot), _server(snapshot, zone), _queue(snapshot)]
    left += [_engine(name, words) for name, words in sorted(snapshot.backends.items())]
    left += [_to_deliver(snapshot), _disk(snapshot)]
    return squeezed(left, [_failures(snapshot, zone), (Form(now, 90), GONE)], width)


def glance(snapshot: Snapshot, width: int) -> Content:
    """Badge, runs, progress: what is left of the screen where there is one line."""
    active = [run for run in snapshot.runs if run.phase not in FINISHED]
    told = " ".join(percent(run.progress.percent).strip() for run in active if run.progress is not None)
    failed = snapshot.failures.count
    facts: list[Fact] = [
        (Form(badge(snapshot, brief=True)),),
        (Form(Content.styled(f"✗ {failed}", _BAD) if failed else Content(), 1), GONE),
        (Form(Content("1 run" if len(active) == 1 else f"{len(active)} runs"), 2), GONE),
        (Form(Content(told), 3), GONE),
    ]
    return squeezed(facts, (), width)


def _badge(snapshot: Snapshot) -> Fact:
    return (Form(badge(snapshot), 112), Form(badge(snapshot, brief=True)))


def _name(snapshot: Snapshot, label: str) -> Fact:
    name = plain_line(snapshot.worker_id)
    whole, short = (Content.styled(cut(name, cells), "bold") for cells in (_NAME_MAX, _NAME_SHORT))
    return (Form(Content.assemble(_label(label), whole), 170), Form(whole, 140), Form(short, 80), GONE)


def _server(snapshot: Snapshot, zone: tzinfo | None) -> Fact:
    link = snapshot.link
    if trouble := server_trouble(snapshot, zone):
        return _server_down(snapshot, trouble, zone)
    host = _label(cut(_host(snapshot.server_url), _HOST_MAX))
    if link.beat_at is None:
        return (Form(Content.assemble(_label("server … "), host), 200), Form(_label("srv …"), 100), GONE)
    latency = "" if link.latency_ms is None else f" {link.latency_ms:.0f} ms"
    return (
        Form(Content.assemble(_label("server "), _OK, latency, " ", host), 200),
        Form(Content.assemble(_label("server "), _OK, latency), 160),
        Form(Content.assemble(_label("srv "), _OK), 100),
        GONE,
    )


def _server_down(snapshot: Snapshot, trouble: Reason, zone: tzinfo | None) -> Fact:
    long, short = _TROUBLE[trouble.cause]
    bad, brief = Content.styled(f"server ✗ {long}", _BAD), Content.styled(f"srv ✗ {short}", _BAD)
    silent = since(snapshot, zone)
    again = f", next try in {snapshot.next_try_s:.0f} s" if snapshot.next_try_s >= 1 else ""
    words = snapshot.link.name_held_now or snapshot.link.trouble
    down = "" if snapshot.down_since is None else f" {duration(snapshot.taken_at - snapshot.down_since)}"
    return (
        Form(Content.assemble(bad, silent, again, "  ", _label(one_line(words or "", _WORDS_MAX).plain)), 145),
        Form(Content.assemble(bad, silent, again), 130),
        Form(Content.assemble(brief, down, again.replace(" in", "")), 95),
        Form(Content.assemble(brief, again.replace(" next try in", "")), 60),
        Form(Content.styled(f"✗ {short}", _BAD)),
    )


def _queue(snapshot: Snapshot) -> Fact:
    link = snapshot.link
    if link.queued is None:
        return (GONE,)
    old = ""
    if link.trouble is not None and link.beat_at is not None:
        old = f" {duration(snapshot.taken_at - link.beat_at)} ago"
    return (Form(Content.assemble(_label("queue "), f"{link.queued}", _label(old)), 120), GONE)


def _engine(name: str, words: str | None) -> Fact:
    name = plain_line(name)
    short = _SHORT.get(name, name[:3])
    if words is None:
        whole = Form(Content.assemble(_label(f"{name} "), _OK), 155)
        return (whole, Form(Content.assemble(_label(f"{short} "), _OK), 110), GONE)
    if words == UNCHECKED:
        return (Form(_label(f"{name} …"), 155), Form(_label(f"{short} …"), 110), GONE)
    bad = Content.styled(f"{name} ✗ ", _BAD)
    return (
        Form(Content.assemble(bad, one_line(words, _WORDS_MAX)), 165),
        Form(Content.assemble(bad, one_line(words, _WORDS_MAX // 2)), 115),
        Form(Content.styled(f"{name} ✗ down", _BAD), 75),
        Form(Content.styled(f"{short} ✗", _BAD)),
    )


def _to_deliver(snapshot: Snapshot) -> Fact:
    waiting = snapshot.to_deliver
    return (Form(Content.assemble(_label("to deliver "), f"{waiting}"), 105 if waiting else 190), GONE)


def _disk(snapshot: Snapshot) -> Fact:
    free = size(snapshot.disk_free_mb)
    if snapshot.disk is None:
        return (Form(Content.assemble(_label("disk "), free), 150), GONE)
    forms = (f"disk ✗ full, {free} free", "disk ✗ full", "disk ✗")
    return tuple(Form(Content.styled(form, _BAD), rank) for form, rank in zip(forms, (125, 70, 0), strict=True))


def _failures(snapshot: Snapshot, zone: tzinfo | None) -> Fact:
    failures = snapshot.failures
    if not failures.count:
        return (GONE,)
    count = Content.styled(f"✗ {failures.count:,} failed", _BAD)
    at = "?" if failures.since is None else moment(failures.since, snapshot.utc, zone)
    since_then = Content.assemble(count, (f" since {at}", "$text-error"))
    return (Form(since_then, 180), Form(count, 73), Form(Content.styled(f"✗ {failures.count:,}", _BAD)))


def _label(text: str) -> Content:
    return Content.styled(text, "$text-muted")


def _host(url: str) -> str:
    """Where the server is, without what may be secret in its address."""
    return plain_line(urlsplit(url).netloc.rpartition("@")[2] or url)
