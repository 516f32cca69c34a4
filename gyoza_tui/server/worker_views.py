"""Workers as everybody may see them."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from gyoza_tui.models.cores import cores
from gyoza_tui.models.workers import GpuReport, ResourcesReport, Wanted, WorkerState, WorkerView
from gyoza_tui.server import rooms, wanted_state
from gyoza_tui.server.errors import worker_unknown
from gyoza_tui.server.room import Room
from gyoza_tui.server.roster import Known
from gyoza_tui.server.server_time import to_utc
from gyoza_tui.server.shared_state import SharedState

SILENT: Final = "silent"
LOST: Final = "lost"


def view(shared: SharedState, connection: Connection, worker_id: str) -> WorkerView:
    known = shared.roster.get(worker_id)
    if known is None:
        raise worker_unknown(worker_id)
    room = rooms.room_of(shared.roster, connection, shared.server_time, known)
    return _view(shared, known, room, wanted_state.of_worker(connection, worker_id))


def views(shared: SharedState, connection: Connection) -> list[WorkerView]:
    free = rooms.all_rooms(shared.roster, connection, shared.server_time)
    wanted = wanted_state.of_all(connection)
    workers = [known for known in shared.roster.all() if known.worker_id in free]
    return [_view(shared, known, free[known.worker_id], wanted.get(known.worker_id)) for known in workers]


def _view(shared: SharedState, known: Known, room: Room, wanted: Wanted | None) -> WorkerView:
    report = known.report
    gpus = [GpuReport(id=gpu.id, vram_mb=gpu.free_mb, tags=sorted(gpu.tags)) for gpu in room.gpus]
    return WorkerView(
        worker_id=known.worker_id,
        state=state_of(shared, known),
        last_seen=to_utc(known.seen_at),
        resources=report.resources,
        free=ResourcesReport(cpu_cores=cores(max(0, room.cpu_tenths)), ram_mb=max(0, room.ram_mb), gpus=gpus),
        tags=report.tags,
        backends=report.backends,
        ops=report.ops,
        trouble=report.trouble,
        running_ops=[op.model_copy(update={"inputs": None, "lease": None}) for op in known.running],
        hostname=report.hostname,
        version=report.version,
        max_runs=report.max_runs,
        reserved=shared.reservations.words(known.worker_id, shared.server_time.boot()),
        wanted=wanted_state.view(wanted, report.wanted),
    )


def state_of(shared: SharedState, known: Known) -> str:
    """As the worker says; SILENT and later LOST where it says nothing."""
    silent = shared.server_time.boot() - known.last_seen
    if known.away_until is not None and known.away_until > shared.server_time.due():
        return WorkerState.AWAY
    if silent > shared.timings.eviction_s:
        return LOST
    return known.report.state if shared.roster.live(known, shared.server_time.boot()) else SILENT
