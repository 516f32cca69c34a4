"""Workers as everybody may see them."""

from __future__ import annotations

from sqlalchemy import Connection

from gyoza_tui.models.cores import cores
from gyoza_tui.models.workers import GpuReport, ResourcesReport, WorkerState, WorkerView
from gyoza_tui.server import rooms
from gyoza_tui.server.errors import worker_unknown
from gyoza_tui.server.roster import Known
from gyoza_tui.server.scheduler import Room
from gyoza_tui.server.server_time import to_utc
from gyoza_tui.server.shared_state import Hub


def view(hub: Hub, connection: Connection, worker_id: str) -> WorkerView:
    known = hub.roster.get(worker_id)
    if known is None:
        raise worker_unknown(worker_id)
    return _view(hub, known, rooms.room_of(hub.roster, connection, hub.moments, known))


def views(hub: Hub, connection: Connection) -> list[WorkerView]:
    free = rooms.all_rooms(hub.roster, connection, hub.moments)
    return [_view(hub, known, free[known.worker_id]) for known in hub.roster.all() if known.worker_id in free]


def _view(hub: Hub, known: Known, room: Room) -> WorkerView:
    report = known.report
    gpus = [GpuReport(id=gpu.id, vram_mb=gpu.free_mb, tags=sorted(gpu.tags)) for gpu in room.gpus]
    return WorkerView(
        worker_id=known.worker_id,
        state=_state(hub, known),
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
        reserved=hub.reservations.words(known.worker_id, hub.moments.boot()),
    )


def _state(hub: Hub, known: Known) -> str:
    silent = hub.moments.boot() - known.last_seen
    if known.away_until is not None and known.away_until > hub.moments.due():
        return WorkerState.AWAY
    if silent > hub.timings.eviction_s:
        return "lost"
    return known.report.state if hub.roster.live(known, hub.moments.boot()) else "silent"
