"""The parts of one worker: each is given the others that it works with, and nothing else."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from gyoza_tui.backends.base import Backend
from gyoza_tui.client import GyozaClient
from gyoza_tui.models.clock import Clock
from gyoza_tui.settings import Settings
from gyoza_tui.worker.duties.claim import Claim
from gyoza_tui.worker.duties.claim_request import ClaimRequests
from gyoza_tui.worker.duties.deliver import Deliver
from gyoza_tui.worker.duties.disk_samples import DiskSamples
from gyoza_tui.worker.duties.duty import Duty
from gyoza_tui.worker.duties.empty_check import EmptyCheck
from gyoza_tui.worker.duties.frozen_runs import FrozenRuns
from gyoza_tui.worker.duties.guard import Guard
from gyoza_tui.worker.duties.heartbeat import Heartbeat
from gyoza_tui.worker.duties.intake import Intake
from gyoza_tui.worker.duties.presence import Presence
from gyoza_tui.worker.duties.reconcile import Reconcile
from gyoza_tui.worker.duties.refusals import Refusals
from gyoza_tui.worker.duties.retention import Retention
from gyoza_tui.worker.duties.room_maker import RoomMaker
from gyoza_tui.worker.duties.run_states import RunStates
from gyoza_tui.worker.duties.sample import Sample
from gyoza_tui.worker.duties.sweep import Sweep
from gyoza_tui.worker.duties.verdicts import Verdicts
from gyoza_tui.worker.execution_pipeline.pipeline import Pipeline
from gyoza_tui.worker.hardware.sampler import Sampler
from gyoza_tui.worker.hooks import HookCalls
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.notices.notices import Notices
from gyoza_tui.worker.runtime import assembled
from gyoza_tui.worker.session import Session
from gyoza_tui.worker.shutdown.announcement import Announcement
from gyoza_tui.worker.shutdown.endings import Drain, GoodBye, Release
from gyoza_tui.worker.shutdown.session_end import SessionEnd
from gyoza_tui.worker.shutdown.shutdown import Shutdown
from gyoza_tui.worker.shutdown.signals import Signals
from gyoza_tui.worker.shutdown.stages import Stages
from gyoza_tui.worker.slots import Slots
from gyoza_tui.worker.state_dir.state_dir import StateDir
from gyoza_tui.worker.view.asked_ending import AskedEnding
from gyoza_tui.worker.view.local_control import LocalControl


class Parts:
    def __init__(
        self,
        settings: Settings,
        state_dir: StateDir,
        clock: Clock,
        notices: Notices,
        session: Session,
        client: GyozaClient,
        journal: Journal,
        backends: Mapping[str, Backend],
        pipeline: Pipeline,
        hooks: HookCalls,
        chosen: Collection[str],
    ) -> None:
        self.runtime = assembled(
            settings,
            state_dir,
            notices,
            clock,
            session,
            client=client,
            journal=journal,
            backends=backends,
            pipeline=pipeline,
            hooks=hooks,
        )
        link, mode, pool, wakes = self.runtime.link, self.runtime.mode, self.runtime.pool, self.runtime.wakes
        admission, capacity, identity = self.runtime.admission, self.runtime.capacity, self.runtime.identity
        context, history, foreign = self.runtime.context, self.runtime.history, self.runtime.foreign
        stop_grace_s = settings.stop_grace_s
        stop_before_s = stop_grace_s if settings.on_lease_lost == "stop" else None

        self.slots = Slots(self.runtime)

        self.verdicts = Verdicts(clock, notices, link, journal, self.slots, context, stop_before_s)
        self.presence = Presence(identity, context, capacity, admission, pool, mode, settings.away_s)
        self.heartbeat = Heartbeat(clock, notices, wakes, client, link, journal, self.presence, self.verdicts)

        refusals = Refusals(client, journal, state_dir, self.slots, notices, identity.worker_id)
        self.deliver = Deliver(clock, notices, wakes, client, link, journal, self.slots, refusals)

        self.claim_requests = ClaimRequests(client, link, journal, capacity, session, identity)
        self.intake = Intake(journal, admission, link, self.slots, notices, wakes, identity.worker_id)
        empty = EmptyCheck(client, link, session, self.deliver, admission, context, notices)
        self.claim = Claim(clock, notices, wakes, link, pool, session, self.claim_requests, self.intake, empty)

        sweep = Sweep(clock, notices, journal, self.slots, identity, stop_grace_s)
        retention = Retention(journal, state_dir, clock, settings)
        frozen = FrozenRuns(clock, notices, journal, self.slots, identity)
        states = RunStates(client, link, journal, self.slots, context)
        self.reconcile = Reconcile(clock, notices, wakes, pool, self.slots, sweep, retention, frozen, states)

        samples = DiskSamples(clock, journal, pool, state_dir)
        room_maker = RoomMaker(notices, journal, pool, self.slots, state_dir)
        min_free_mb = settings.min_free_mb
        self.guard = Guard(clock, notices, min_free_mb, state_dir, pool, mode, self.slots, samples, room_maker)

        self.sample = Sample(clock, notices, Sampler(clock), history, foreign)

        every: list[Duty] = [
            self.heartbeat,
            self.verdicts,
            self.claim,
            self.deliver,
            self.reconcile,
            self.guard,
            self.sample,
        ]
        self.duties = [duty for duty in every if duty.name in chosen]

        self.ending = AskedEnding(mode)
        self.control = LocalControl(self.runtime, self.slots, self.duties, self.ending)

        self.signals = Signals()
        announcement = Announcement(notices, journal, self.deliver)
        stages = Stages(self.signals, self.ending, announcement, settings.on_sigterm)
        drain = Drain(clock, link, journal, self.deliver, settings.drain_timeout_s)
        release = Release(clock, journal, self.slots, self.deliver, mode, wakes)
        good_bye = GoodBye(self.heartbeat, client, link, journal, notices, identity)
        self.session_end = SessionEnd(session, self.ending, stages, drain, announcement)
        self.shutdown = Shutdown(self.ending, stages, self.session_end, drain, release, good_bye, announcement)
