"""The scheduler alone: who gets what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gyoza_tui.models.constraints import Constraints
from gyoza_tui.models.gpu_room import GpuRoom
from gyoza_tui.server.room import Need, Room
from gyoza_tui.server.scheduler import Match, Offer, PendingRun, match


def room(worker_id: str = "w", cpu: int = 8, ram_mb: int = 8000, **more: Any) -> Room:
    gpus = [GpuRoom(n, vram) for n, vram in enumerate(more.pop("gpus", []))]
    fields: dict[str, Any] = {
        "tags": frozenset(),
        "backends": frozenset({"docker"}),
        "ops": frozenset(),
        "slots": 64,
        "takes_work": True,
    }
    return Room(worker_id, cpu * 10, ram_mb, gpus, **(fields | more))


def need(image: str = "docker", tags: set[str] | None = None, **constraints: Any) -> Need:
    return Need(image, None, Constraints(**constraints), frozenset(tags or set()))


def queue(*runs: PendingRun) -> Iterator[PendingRun]:
    return iter(sorted(runs, key=lambda run: run.rank))


def matched(waiting: dict[Need, list[PendingRun]], offers: list[Offer], *others: Room) -> list[tuple[str, int]]:
    rooms = {id(offer.room): offer.room for offer in offers}.values()
    found = match({key: queue(*runs) for key, runs in waiting.items()}, offers, [*rooms, *others])
    return [(one.run_id, one.key) for one in found]


def test_priority_then_age_over_all_needs() -> None:
    waiting = {
        need(cpu=1): [PendingRun("low", (-1, 0, 1)), PendingRun("high", (-9, 0, 4))],
        need(cpu=2): [PendingRun("older", (-5, 0, 2)), PendingRun("younger", (-5, 0, 3))],
    }
    found = matched(waiting, [Offer(1, room(), 9)])
    assert [run for run, _ in found] == ["high", "older", "younger", "low"]


def test_what_does_not_fit_lets_the_next_one_pass() -> None:
    waiting = {need(cpu=9): [PendingRun("big", (-9, 0, 1))], need(cpu=8): [PendingRun("small", (0, 0, 2))]}
    assert matched(waiting, [Offer(1, room(), 9)]) == [("small", 1)]


def test_never_more_than_is_free() -> None:
    waiting = {need(cpu=3, ram_mb=3000): [PendingRun(str(n), (0, 0, n)) for n in range(9)]}
    assert len(matched(waiting, [Offer(1, room(), 9)])) == 2
    shared = room(slots=3)
    assert (
        len(
            matched(
                {need(): [PendingRun(str(n), (0, 0, n)) for n in range(9)]}, [Offer(1, shared, 2), Offer(2, shared, 2)]
            )
        )
        == 3
    )


def test_ten_tenths_are_a_core() -> None:
    waiting = {need(cpu=0.1): [PendingRun(str(n), (0, 0, n)) for n in range(12)]}
    new = room(cpu=1, features=frozenset({"fractional_cpu"}))
    assert len(matched(waiting, [Offer(1, new, 64)])) == 10
    assert new.cpu_tenths == 0


def test_a_part_of_a_core_goes_to_no_worker_that_does_not_know_it() -> None:
    old, new = room("old"), room("new", features=frozenset({"fractional_cpu"}))
    waiting = {need(cpu=0.5): [PendingRun("part", (-9, 0, 1))], need(cpu=1): [PendingRun("whole", (0, 0, 2))]}
    assert matched(waiting, [Offer(1, old, 9)]) == [("whole", 1)]
    waiting = {need(cpu=0.5): [PendingRun("part", (-9, 0, 1))]}
    assert matched(waiting, [Offer(1, old, 9), Offer(2, new, 9)]) == [("part", 2)]


def test_a_small_run_leaves_the_big_gpu_alone() -> None:
    box = room(gpus=[24000, 8000])
    [one] = match({need(vram_mb=4000): queue(PendingRun("a", (0, 0, 1)))}, [Offer(1, box, 1)], [box])
    assert one == Match("a", 1, Constraints(vram_mb=4000, gpu_id=1))
    small, big = room("small", gpus=[8000]), room("big", gpus=[24000])
    offers = [Offer(1, big, 4), Offer(2, small, 4)]
    waiting = {need(vram_mb=6000): [PendingRun("a", (0, 0, 1)), PendingRun("b", (0, 0, 2))]}
    assert matched(waiting, offers) == [("a", 2), ("b", 1)]


def given(box: Room, wanted: Need, runs: int) -> list[int | None]:
    """The GPU that each run gets."""
    waiting = queue(*(PendingRun(str(n), (0, 0, n)) for n in range(runs)))
    return [one.constraints.gpu_id for one in match({wanted: waiting}, [Offer(1, box, runs)], [box])]


def test_equal_gpus_share_until_the_runs_fit_on_no_other() -> None:
    assert given(room(gpus=[24000, 8000, 8000, 8000]), need(vram_mb=3000), 7) == [1, 2, 3, 1, 2, 3, 0]
    box = room(gpus=[8000, 8000])
    box.gpus[0].take(1000)
    box.gpus[1].take(6000)
    assert given(box, need(vram_mb=1000), 2) == [0, 1], "fewer runs, then more that is free"


def test_equal_gpus_of_several_workers_share() -> None:
    offers = [Offer(n, room(str(n), cpu=64 // n, gpus=[8000, 8000]), 4) for n in (1, 2)]
    waiting = {need(vram_mb=2000, cpu=1): [PendingRun(str(n), (0, 0, n)) for n in range(4)]}
    assert sorted(key for _, key in matched(waiting, offers)) == [1, 1, 2, 2]


def test_equal_workers_share_what_needs_cores_and_a_small_run_leaves_the_big_one_alone() -> None:
    offers = [Offer(n, room(str(n), cpu=8, ram_mb=64_000 + n), 9) for n in (1, 2)]
    offers.append(Offer(3, room("3", cpu=64, ram_mb=512_000), 9))
    waiting = {need(cpu=2, ram_mb=100): [PendingRun(str(n), (0, 0, n)) for n in range(9)]}
    assert [key for _, key in matched(waiting, offers)] == [2, 1, 2, 1, 2, 1, 2, 1, 3]


def test_a_gpu_without_memory_named_is_a_whole_one() -> None:
    box = room(gpus=[8000, 8000], tags=frozenset({"lab"}))
    assert given(box, need(gpu_id=1), 3) == [1]
    assert given(box, need(gpu_id=1, vram_mb=1), 1) == [], "no share of it"
    assert given(box, need(vram_mb=1), 2) == [0, 0], "the other one can still be shared"
    assert given(box, need(gpu_id=0), 1) == [], "one with a run is not whole"
    tagged = room(gpus=[8000, 8000])
    tagged.gpus[1].tags = frozenset({"rtx"})
    assert given(tagged, need(tags={"rtx"}), 2) == [1]
    used = room(gpus=[8000])
    used.gpus[0].foreign_mb = 2000
    assert given(used, need(gpu_id=0), 1) == [], "nor is one that others use"


def test_a_run_without_gpu_prefers_a_worker_without_one() -> None:
    offers = [Offer(1, room("gpu", gpus=[24000]), 4), Offer(2, room("cpu"), 4)]
    assert matched({need(cpu=1): [PendingRun("a", (0, 0, 1))]}, offers) == [("a", 2)]


def test_vram_is_counted_on_one_gpu_and_a_gpu_asked_for_is_the_one_given() -> None:
    box = room(gpus=[8000, 8000])
    assert matched({need(vram_mb=12000): [PendingRun("a", (0, 0, 1))]}, [Offer(1, box, 4)]) == []
    [one] = match({need(gpu_id=1): queue(PendingRun("a", (0, 0, 1)))}, [Offer(1, box, 1)], [box])
    assert one.constraints.gpu_id == 1


def test_equal_workers_share() -> None:
    offers = [Offer(1, room("a"), 4), Offer(2, room("b"), 4)]
    found = matched({need(): [PendingRun(str(n), (0, 0, n)) for n in range(4)]}, offers)
    assert [key for _, key in found] == [1, 2, 1, 2]


def test_tags_of_the_worker_or_of_its_gpu() -> None:
    box = room(gpus=[8000, 8000], tags=frozenset({"lab"}))
    box.gpus[1].tags = frozenset({"rtx"})
    [one] = match({need(tags={"lab", "rtx"}, vram_mb=1): queue(PendingRun("a", (0, 0, 1)))}, [Offer(1, box, 1)], [box])
    assert one.constraints.gpu_id == 1
    assert matched({need(tags={"gold"}): [PendingRun("a", (0, 0, 1))]}, [Offer(1, box, 1)]) == []


def test_backend_and_the_owners_ops() -> None:
    local = Need("local", "train", Constraints(), frozenset())
    waiting = {local: [PendingRun("a", (0, 0, 1))]}
    assert matched(waiting, [Offer(1, room(), 1)]) == []
    both = frozenset({"docker", "local"})
    assert matched(waiting, [Offer(1, room(backends=both, ops=frozenset({"other"})), 1)]) == []
    assert matched(waiting, [Offer(1, room(backends=both, ops=frozenset({"train"})), 1)]) == [("a", 1)]


def test_paused_only_and_avoided() -> None:
    w, other = room("w"), room("other")
    key = need(cpu=8)
    assert matched({key: [PendingRun("a", (0, 0, 1), paused_for=frozenset({"w"}))]}, [Offer(1, w, 1)]) == []
    assert matched({key: [PendingRun("a", (0, 0, 1))]}, [Offer(1, w, 1, only=frozenset({"b"}))]) == []
    assert matched({key: [PendingRun("a", (0, 0, 1), avoid="w")]}, [Offer(1, w, 1)], other) == []
    other.cpu_tenths = 40
    assert matched({key: [PendingRun("a", (0, 0, 1), avoid="w")]}, [Offer(1, w, 1)], other) == [("a", 1)]


def test_a_queue_is_read_no_further_than_there_is_room() -> None:
    read = []

    def endless() -> Iterator[PendingRun]:
        for n in range(10**9):
            read.append(n)
            yield PendingRun(str(n), (0, 0, n))

    offers = [Offer(1, room(cpu=4), 64)]
    assert len(match({need(cpu=1): endless()}, offers, [offers[0].room])) == 4
    assert len(read) == 4


def test_a_need_survives_its_text() -> None:
    one = Need("local", "train", Constraints(cpu=1, vram_mb=3), frozenset({"b", "a"}))
    again = Need.loads(one.dumps())
    assert (again.backend, again.op, again.constraints, again.tags) == (one.backend, one.op, one.constraints, one.tags)
    assert again.dumps() == one.dumps()
    assert '"local", "train", 1, ' in one.dumps(), "as servers of before wrote it"
    part = Need("local", "train", Constraints(cpu=0.5), frozenset())
    assert Need.loads(part.dumps()).constraints.cpu == 0.5


def test_a_run_that_waits_for_its_children_is_no_company() -> None:
    """A child of its own may have to be alone."""
    box = room(slots=1)
    box.take_waiting(Constraints(cpu=8, ram_mb=1000))
    assert box.fits(need(cpu=8), alone=True)
    assert not box.fits(need(ram_mb=7001))
