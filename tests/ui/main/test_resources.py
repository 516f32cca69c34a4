"""GPUs, processor and memory, for any number of them and at any width."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from gyoza_tui.models.hardware import GpuInfo, GpuProcess, GpuSample, HardwareSample
from gyoza_tui.ui.panels.resources import resource_lines
from gyoza_tui.ui.widgets.meter import meter
from gyoza_tui.ui.widgets.sparkline import BUCKET_S, buckets, sparkline
from gyoza_tui.worker.view.snapshot import Foreign
from tests.ui.fake_control import BOOT, FakeControl, snapshot
from tests.ui.main.scene import ACTIVE, busy, busy_control, gpu, machine, readings
from tests.ui.main.stage import stage

BLIND = GpuSample(GpuInfo(0, None, None, None))
MACHINES: tuple[HardwareSample | None, ...] = (
    None,
    machine(),
    HardwareSample(BOOT),
    machine((BLIND,)),
    *(machine(tuple(gpu(i) for i in range(count))) for count in (1, 2, 4, 5, 8, 16)),
    machine((replace(gpu(0), info=GpuInfo(0, None, "[/x]\x1b[2J" + "日" * 400, 81_920)),)),
)


@pytest.mark.parametrize("found", MACHINES)
def test_no_line_is_wider_than_its_place(found: HardwareSample | None) -> None:
    now = snapshot(hardware=found, runs=ACTIVE)
    samples = readings(found) if found else ()
    for width in (*range(1, 60), *range(60, 201, 7)):
        for line in resource_lines(now, samples, width):
            assert line.cell_length <= width
            assert line.plain.isprintable()


def lines(count: int, width: int) -> list[str]:
    now = busy(count)
    assert now.hardware is not None
    return [line.plain for line in resource_lines(now, readings(now.hardware), width)]


def test_wide_each_gpu_has_a_line_that_ends_with_its_run() -> None:
    first, second = lines(2, 158)
    assert "0 A100-80G" in first
    assert " 97%" in first
    assert "61/80G" in first
    assert "71°" in first
    assert "254/400W" in first
    assert "a1b2c3d4 classify" in first
    assert first.split("│")[1].startswith(" CPU  43%")
    assert "77fe01aa train" in second
    assert second.split("│")[1].startswith(" RAM 31/64G")


def test_a_gpu_that_nothing_can_use_says_why() -> None:
    now = busy(4)._replace(gpu_trouble={0: "no driver", 3: "no driver"})
    assert now.hardware is not None
    for width in (158, 96):
        text = "\n".join(line.plain for line in resource_lines(now, readings(now.hardware), width))
        assert "out: " in text
    wide = [line.plain for line in resource_lines(now, readings(now.hardware), 158)]
    assert "a1b2c3d4" in wide[0], "what still runs there is more"
    assert "out: no driver" in wide[3]


def test_a_gpu_that_nothing_uses_is_free() -> None:
    assert all("free" in line for line in lines(4, 158)[2:])


def test_a_gpu_that_somebody_else_uses_names_the_process() -> None:
    busy_one = replace(gpu(0), processes=(GpuProcess(4121, "python3", 12_288), GpuProcess(9, None, 1)))
    nameless = replace(gpu(1), processes=(GpuProcess(9),))
    unknown = replace(gpu(2), processes=None)
    first, second, third, *_ = resource_lines(snapshot(hardware=machine((busy_one, nameless, unknown))), (), 158)
    assert "python3 12G pid 4121" in first.plain
    assert "? ? pid 9" in second.plain
    assert "no run" in third.plain


def test_what_others_use_of_a_gpu_is_shown_with_or_without_a_run() -> None:
    by_name = Foreign(20_480, (GpuProcess(4121, "python3", 20_480, "alice"),))
    foreign = {0: by_name, 1: Foreign(23_552), 2: by_name, 3: Foreign(23_552)}
    idle = tuple(gpu(index, util=0.0) for index in range(4))
    gpus = (*idle, gpu(4, util=0.0))
    now = snapshot(hardware=machine(gpus), runs=ACTIVE)._replace(foreign=foreign)
    found = [line.plain for line in resource_lines(now, readings(machine(gpus)), 158, most=6)]
    assert "a1b2c3d4 | python3 20G pid 4121" in found[0]
    assert "77fe01aa | 23G used by others" in found[1]
    assert "python3 20G pid 4121 alice" in found[2]
    assert "23G used by others" in found[3]
    assert "free" in found[4]


def test_at_80_two_gpus_share_a_line() -> None:
    pair, host = lines(2, 78)
    assert [part.split()[0] for part in pair.split("│")] == ["0", "1"]
    assert "a1b2c3d4" in pair
    assert host.startswith("CPU  43%")
    assert "disk 412G" in host


def test_at_80_more_than_four_are_one_strip() -> None:
    strip, _host = lines(8, 78)
    assert all(f"{index}:" in strip for index in range(8))


def test_a_strip_counts_what_does_not_fit() -> None:
    assert lines(8, 40)[0].rstrip().endswith("+5")


@pytest.mark.parametrize(
    ("note", "shown"), [(None, "no GPU"), ("the driver is not loaded", "no GPU reading  the driver is not loaded")]
)
def test_a_machine_without_gpus_says_so_once_and_a_driver_in_trouble_says_why(note: str | None, shown: str) -> None:
    hardware = replace(machine(), gpu_note=note)
    line = resource_lines(snapshot(hardware=hardware), (), 158)[0].plain
    assert line.partition("│")[0].strip() == shown


def test_a_missing_reading_is_not_a_zero() -> None:
    line = resource_lines(snapshot(hardware=machine((BLIND,))), (), 118)[0].plain
    assert line.count("N/A") == 4
    assert "?" in line
    assert "0%" not in line


def test_memory_and_heat_are_amber_from_95_percent_and_load_never() -> None:
    def styles(one: GpuSample) -> set[str]:
        line = resource_lines(snapshot(hardware=machine((one,))), (), 158)[0]
        return {str(span.style) for span in line.spans if "$warning" in str(span.style)}

    assert styles(gpu(0, 100.0, 70_000, 70.0)) == set()
    assert styles(gpu(0, 5.0, 80_000, 70.0)) == {"$warning", "$warning on $primary-muted"}
    assert styles(gpu(0, 5.0, 10_000, 90.0)) == {"$warning"}
    assert styles(replace(gpu(0, 5.0, 10_000, 90.0), slowdown_c=97.0)) == set(), "7 below where it slows down"
    assert styles(replace(gpu(0, 5.0, 10_000, 79.0), slowdown_c=84.0)) == {"$warning"}, "5 below"


def test_a_meter_is_empty_only_at_0_and_full_only_at_100() -> None:
    for width in range(1, 30):
        assert meter(0.0, width).plain == " " * width
        assert meter(100.0, width).plain == "█" * width
        assert meter(0.1, width).plain.strip()
        assert meter(99.9, width).plain != "█" * width
        assert meter(None, width).plain.strip() == "?"
        assert all(meter(value, width).cell_length == width for value in range(101))
    assert meter(50.0, 1).plain == "▌"


def test_a_meter_never_goes_back_as_its_value_grows() -> None:
    order = " ▏▎▍▌▋▊▉█"
    shown = [[order.index(cell) for cell in meter(value / 10, 3).plain] for value in range(1001)]
    assert [sum(cells) for cells in shown] == sorted(sum(cells) for cells in shown)


def test_a_sparkline_is_scaled_from_0_to_100_whatever_it_shows() -> None:
    assert sparkline((0.0, 1.0, 50.0, 99.0, 100.0, None)).plain == "▁▁▅██ "


def test_buckets_wander_and_do_not_flicker() -> None:
    def sample(at: float) -> HardwareSample:
        return HardwareSample(at, cpu_percent=at)

    begun = BUCKET_S * 1000.0
    seconds = [sample(begun + second) for second in range(BUCKET_S * 3)]
    for more in range(1, BUCKET_S):
        early = buckets(seconds[: BUCKET_S * 2], lambda s: s.cpu_percent, 8)
        late = buckets(seconds[: BUCKET_S * 2 + more], lambda s: s.cpu_percent, 8)
        assert late[:-1] == early[1:]
    assert buckets((), lambda s: s.cpu_percent, 3) == (None, None, None)
    assert buckets([HardwareSample(begun)], lambda s: s.cpu_percent, 2) == (None, None)


def test_maximised_each_gpu_has_a_line_at_80_too() -> None:
    async def look() -> None:
        async with stage(busy_control(8), (80, 24)) as shown:
            await shown.press("1", "m")
            assert sum("A100" in row for row in shown.rows()) == 8
            await shown.press("escape")
            assert sum("A100" in row for row in shown.rows()) == 0

    asyncio.run(look())


def test_before_the_first_reading_nothing_is_made_up() -> None:
    async def look() -> None:
        async with stage(FakeControl(now=snapshot(hardware=None))) as shown:
            assert "no reading of this machine yet" in shown.rows()[1]

    asyncio.run(look())
