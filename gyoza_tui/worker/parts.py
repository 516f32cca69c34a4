"""The parts of one worker: each is given the others that it works with, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from functools import partial

from gyoza_tui import __version__
from gyoza_tui.backends.base import Backend
from gyoza_tui.client import GyozaClient
from gyoza_tui.models.clock import Clock
from gyoza_tui.service_manager import ServiceManager
from gyoza_tui.settings import Settings
from gyoza_tui.worker.admission import Admission, Reserve
from gyoza_tui.worker.attempt_record import Records
from gyoza_tui.worker.backend_pool import BackendPool
from gyoza_tui.worker.building import image_pulls
from gyoza_tui.worker.capacity import Capacity
from gyoza_tui.worker.claiming_mode import ClaimingMode
from gyoza_tui.worker.control_socket.server import ControlSocket
from gyoza_tui.worker.control_socket.wire import SCHEMA, Hello
from gyoza_tui.worker.duties.children import ChildEnds
from gyoza_tui.worker.duties.claim import Claim
from gyoza_tui.worker.duties.claim_request import ClaimRequests
from gyoza_tui.worker.duties.deliver import Deliver
from gyoza_tui.worker.duties.disk_samples import DiskSamples
from gyoza_tui.worker.duties.duty import Duty, Keeper
from gyoza_tui.worker.duties.empty_check import EmptyCheck
from gyoza_tui.worker.duties.freeze_reports import FreezeReports
from gyoza_tui.worker.duties.frozen_runs import FrozenRuns
from gyoza_tui.worker.duties.guard import Guard
from gyoza_tui.worker.duties.heartbeat import Heartbeat
from gyoza_tui.worker.duties.intake import Intake
from gyoza_tui.worker.duties.orphaned_containers import OrphanedContainers
from gyoza_tui.worker.duties.presence import Presence
from gyoza_tui.worker.duties.reconcile import Reconcile
from gyoza_tui.worker.duties.refusals import Refusals
from gyoza_tui.worker.duties.retention import Retention
from gyoza_tui.worker.duties.room_maker import RoomMaker
from gyoza_tui.worker.duties.run_states import RunStates
from gyoza_tui.worker.duties.sample import Sample
from gyoza_tui.worker.duties.unplaced_children import UnplacedChildren
from gyoza_tui.worker.duties.verdicts import Verdicts
from gyoza_tui.worker.execution_pipeline.pipeline import Pipeline
from gyoza_tui.worker.foreign_memory import ForeignMemory
from gyoza_tui.worker.hardware.detect import detect_resources
from gyoza_tui.worker.hardware.sampler import History, Sampler
from gyoza_tui.worker.hooks import HookCalls, Hooks
from gyoza_tui.worker.identity import Identity
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.monitoring.durations import Durations
from gyoza_tui.worker.monitoring.monitoring import Monitoring
from gyoza_tui.worker.monitoring.vital_signs import VitalSigns
from gyoza_tui.worker.notices.headless import Printer
from gyoza_tui.worker.notices.notices import Notices
from gyoza_tui.worker.notices.worker_log import WorkerLog
from gyoza_tui.worker.op_channel.op_channel import OpChannel
from gyoza_tui.worker.probes import Prober, Probes
from gyoza_tui.worker.server_link import ServerLink
from gyoza_tui.worker.session import Bounds, Session
from gyoza_tui.worker.shutdown.announcement import Announcement
from gyoza_tui.worker.shutdown.drain import Drain
from gyoza_tui.worker.shutdown.good_bye import GoodBye
from gyoza_tui.worker.shutdown.release import Release
from gyoza_tui.worker.shutdown.session_end import SessionEnd
from gyoza_tui.worker.shutdown.shutdown import Shutdown
from gyoza_tui.worker.shutdown.signals import Signals
from gyoza_tui.worker.shutdown.stages import Stages
from gyoza_tui.worker.slots import Slots
from gyoza_tui.worker.slots.attempt_services import AttemptServices
from gyoza_tui.worker.slots.freeze_wishes import FreezeWishes
from gyoza_tui.worker.slots.gate import Gate
from gyoza_tui.worker.slots.machine import Machine
from gyoza_tui.worker.slots.slot import Slot
from gyoza_tui.worker.slots.turn import Turn
from gyoza_tui.worker.slots.waiting_runs import WaitingRuns
from gyoza_tui.worker.state_dir.state_dir import StateDir
from gyoza_tui.worker.view.asked_ending import AskedEnding
from gyoza_tui.worker.view.commands import Commands
from gyoza_tui.worker.view.early_intents import EarlyIntents
from gyoza_tui.worker.view.freezes import Freezes
from gyoza_tui.worker.view.history import RunHistory
from gyoza_tui.worker.view.live_settings import LiveSettings
from gyoza_tui.worker.view.local_control import LocalControl
from gyoza_tui.worker.view.log_locations import LogLocations
from gyoza_tui.worker.view.run_inquiry import RunInquiry
from gyoza_tui.worker.view.run_logs import RunLogs
from gyoza_tui.worker.view.run_views import RunViews
from gyoza_tui.worker.view.snapshot_builder import SnapshotBuilder
from gyoza_tui.worker.wakes import Wakes
from gyoza_tui.worker.wanted_state import WantedState
from gyoza_tui.worker.worker_context.types import WorkerContext


class Parts:
    """Made in the order in which they need one another; only the worker itself, and tests, have all of them."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        state_dir: StateDir,
        journal: Journal,
        client: GyozaClient,
        backends: Mapping[str, Backend],
        *,
        pipeline: Pipeline,
        hooks: Hooks,
        bounds: Bounds,
        duties: Collection[str],
        read_settings: Callable[[], Settings] | None,
    ) -> None:
        detected = detect_resources()
        identity = Identity(settings.worker_id, state_dir.instance_id, state_dir.epoch)
        stop_grace_s, min_free_mb = settings.stop_grace_s, settings.min_free_mb
        stop_before_s = stop_grace_s if settings.on_lease_lost == "stop" else None

        self.settings, self.state_dir, self.journal = settings, state_dir, journal
        self.client, self.pipeline = client, pipeline

        self.notices = notices = Notices(clock)
        self.printer = Printer(notices, settings.log_format)
        self.log = WorkerLog(notices, state_dir.worker_log)
        self.session = session = Session(clock, bounds, claims=Claim.name in duties)
        durations = Durations()

        self.wakes = wakes = Wakes()
        self.link = link = ServerLink(clock, notices, settings.heartbeat_s)
        for wake in (wakes.claim, wakes.deliver, wakes.reconcile, wakes.children):
            link.wakes(wake)
        notices.hide(lambda: _secrets(journal, link))
        self.mode = mode = ClaimingMode(wakes.beat.set)
        self.wanted = wanted = WantedState(journal, mode, notices)
        prober = Prober(state_dir.root, identity.worker_id, identity.instance_id)
        self.pool = pool = BackendPool(backends, notices, Probes(clock, notices, prober))
        self.history = history = History()
        foreign = ForeignMemory(clock, pool.items, journal.active, wakes.beat.set, lambda: link.state.heartbeat_s)
        self.admission = admission = Admission(
            detected, history.gpu_infos, Reserve.of(settings), settings.max_runs, pool, mode, foreign.mb
        )
        self.gate = gate = Gate(clock, journal, admission)
        self.hooks = HookCalls(
            notices,
            Hooks(on_run_end=lambda _row: gate.look()),
            Hooks(on_run_end=session.ended),
            Hooks(on_run_end=durations.ended),
            hooks,
        )
        self.capacity = capacity = Capacity(
            admission, journal, link, mode, pool, lambda: gate.taken, settings.waiting_max
        )
        self.context = context = WorkerContext(identity.worker_id, detected, list(settings.tags))

        self.pulls = image_pulls(settings, clock)
        self.records = Records(journal, clock, notices, self.hooks, wakes, identity.worker_id)
        machine = Machine(pool, admission, wakes)
        self.waiting_runs = WaitingRuns(clock, notices, journal, gate, self._wake_slot, wakes)
        self.op_channel = channel = OpChannel(
            clock, notices, client, link, state_dir, self.waiting_runs, settings.allow_submit, wakes.children
        )
        attempts = AttemptServices(
            clock, notices, self.records, machine, self.pulls, state_dir, identity, settings, channel, gate.look
        )
        make_slot = partial(Slot, clock, notices, journal, self.records, machine, attempts, pipeline)
        turn = Turn(clock, journal, admission, gate)
        self.slots = Slots(clock, journal, context, wakes, machine, turn, gate, make_slot)

        self.freeze_wishes = wishes = FreezeWishes(clock, notices, journal, gate, self.slots, wakes)
        self.verdicts = Verdicts(clock, notices, link, journal, self.slots, context, wanted, wishes, stop_before_s)
        self.presence = Presence(identity, context, capacity, admission, pool, mode, wanted, settings.away_s)
        self.heartbeat = Heartbeat(clock, notices, wakes, client, link, journal, self.presence, wanted, self.verdicts)

        refusals = Refusals(client, journal, state_dir, self.slots, notices, identity.worker_id)
        self.deliver = Deliver(clock, notices, wakes, client, link, journal, self.slots, refusals)

        self.claim_requests = ClaimRequests(client, link, journal, capacity, session, identity)
        self.intake = Intake(journal, admission, link, self.slots, notices, wakes, identity.worker_id)
        empty = EmptyCheck(client, link, session, self.deliver, admission, context, notices)
        self.unplaced = UnplacedChildren(client, link, channel, notices)
        requests, intake = self.claim_requests, self.intake
        self.claim = Claim(clock, notices, wakes, link, pool, session, requests, intake, empty, self.unplaced)

        orphaned = OrphanedContainers(clock, notices, journal, self.slots, identity, stop_grace_s)
        retention = Retention(journal, state_dir, clock, settings)
        frozen = FrozenRuns(clock, notices, journal, self.slots, wishes, wakes, identity)
        told = FreezeReports(client, link, journal, wishes, identity)
        states = RunStates(client, link, journal, self.slots, context)
        self.reconcile = Reconcile(clock, notices, wakes, pool, self.slots, orphaned, retention, frozen, told, states)

        samples = DiskSamples(clock, journal, pool, state_dir)
        room_maker = RoomMaker(notices, journal, pool, self.slots, state_dir)
        self.guard = Guard(clock, notices, min_free_mb, state_dir, pool, mode, self.slots, samples, room_maker)

        self.children = ChildEnds(clock, notices, wakes, client, link, channel, identity.worker_id)

        self.sample = Sample(clock, notices, Sampler(clock), history, foreign)

        every: list[Duty] = [
            self.heartbeat,
            self.verdicts,
            self.claim,
            self.deliver,
            self.children,
            self.reconcile,
            self.guard,
            self.sample,
        ]
        self.duties = [duty for duty in every if duty.name in duties]
        self.keeper = Keeper(self.duties)

        intents = EarlyIntents(self.slots, notices)
        views = RunViews(journal, link, self.slots, gate, intents, context, pipeline)
        builder = SnapshotBuilder(
            worker_id=identity.worker_id,
            clock=clock,
            client=client,
            link=link,
            journal=journal,
            mode=mode,
            capacity=capacity,
            pool=pool,
            history=history,
            foreign=foreign,
            unplaced=self.unplaced,
            duties=self.duties,
            views=views,
        )
        ended = RunHistory(state_dir.journal, clock, identity.worker_id, views)
        inquiry = RunInquiry(client, link, pool, journal, views, ended)
        freezes = Freezes(client, link, journal, pool, wishes, identity)
        logs = RunLogs(LogLocations(state_dir, inquiry).of)
        self.ending = AskedEnding(mode, settings.on_sigterm)
        guard, ending = self.guard, self.ending
        live = LiveSettings(settings, read_settings, client, context, admission, guard, retention, ending, gate)
        commands = Commands(journal, link, mode, wanted, wakes, intents, self.ending, live)
        self.control = LocalControl(commands, builder, ended, inquiry, freezes, logs, self.slots, notices)

        hello = Hello(SCHEMA, __version__, *identity, os.getpid(), client.base_url)
        self.control_socket = ControlSocket(self.control, state_dir.root, hello, clock)
        signs = VitalSigns(clock, self.duties, link)
        self.monitoring = Monitoring(self.control, self.duties, signs, durations, self.intake)
        self.service_manager = ServiceManager(self.monitoring.line, self.monitoring.goes_on)

        self.signals = Signals()
        announcement = Announcement(notices, journal, self.deliver, link)
        stages = Stages(self.signals, self.ending, announcement)
        drain = Drain(clock, link, journal, self.deliver, settings.drain_timeout_s)
        release = Release(clock, journal, self.slots, self.deliver, mode, wakes)
        good_bye = GoodBye(self.heartbeat, client, link, journal, notices, identity)
        self.session_end = SessionEnd(session, self.ending, stages, drain, announcement)
        self.shutdown = Shutdown(self.ending, stages, self.session_end, drain, release, good_bye, announcement)

    def _wake_slot(self, key: int) -> None:
        """Slots are made later than what wakes them."""
        self.slots.wake(key)


def _secrets(journal: Journal, link: ServerLink) -> list[str]:
    """Of what runs here or is still reported: nothing is logged of the rest."""
    rows = (*journal.active(), *journal.memory.rows(link.state.answering))
    return [value for row in rows for value in row.run.secret_env.values()]
