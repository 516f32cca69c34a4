"""How the worker is, in the header; and if nothing runs, why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.ui.picture import SMALL, WIDE, picture
from tests.ui.recording import load
from tests.ui.snapshots.conftest import SnapCompare

ROWS = (120, 16)
"""As many as the header and the reason need."""


def test_waiting(snap_compare: SnapCompare) -> None:
    """Green badge; waiting for work: three runs are queued, none of them for this worker."""
    snap_compare(picture(load("queued"), ROWS))


def test_paused(snap_compare: SnapCompare) -> None:
    """Amber badge PAUSED; the list says that nothing is claimed and that p resumes."""
    snap_compare(picture(load("paused"), ROWS))


def test_draining(snap_compare: SnapCompare) -> None:
    """Amber badge DRAINING; the run that it waits for goes on."""
    snap_compare(picture(load("draining"), ROWS))


@pytest.mark.parametrize("size", [WIDE, SMALL], ids=["wide", "small"])
def test_offline(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    """Red badge; the server's last word, since when it is silent, seconds to the next try, in header and list alike."""
    snap_compare(picture(load("offline"), size))


def test_key_refused(snap_compare: SnapCompare) -> None:
    """The checklist names the key as what is wrong and how to set it; the header says key refused."""
    snap_compare(picture(load("unauthorized"), (120, 24)))


def test_name_held(snap_compare: SnapCompare) -> None:
    """The name is held by another worker: which, and what to do."""
    snap_compare(picture(load("name_held"), (120, 24)))


def test_docker_down(snap_compare: SnapCompare) -> None:
    """docker ✗ in the header with the reason; the list says that the engine is down, and that local ops could run."""
    snap_compare(picture(load("docker_down"), ROWS))


def test_disk_full(snap_compare: SnapCompare) -> None:
    """disk ✗ in the header; the list says how much is free and how much is wanted."""
    snap_compare(picture(load("disk_full"), ROWS))


def test_no_free_slot(snap_compare: SnapCompare) -> None:
    """Nothing runs, for all four slots are held: the list says so."""
    idle = load("idle")
    snap_compare(picture(replace(idle, snapshot=idle.snapshot._replace(free_slots=0)), ROWS))


def test_to_deliver(snap_compare: SnapCompare) -> None:
    """Offline, one report to deliver in the header; its run says TO DELIVER and how it ended; the other runs on."""
    snap_compare(picture(load("undelivered"), (160, 24)))


def test_fates(snap_compare: SnapCompare) -> None:
    """One run adopted from an earlier start; one RELEASED, one LOST: not failures, so nothing is red."""
    snap_compare(picture(load("fates"), (160, 24)))


@pytest.mark.parametrize("size", [WIDE, SMALL], ids=["wide", "small"])
def test_first_start(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    """The checklist: the server refuses connections, what to type, the rest is well, seconds to the next try."""
    snap_compare(picture(load("never"), size))


def test_worker_tab(snap_compare: SnapCompare) -> None:
    """Each duty with its last success and next try; the one that fails says how; the worker's messages below."""
    snap_compare(picture(load("undelivered"), (120, 30), "4"))
