"""Outputs made to hurt whoever reads them, through a whole worker: a true end, an untouched host, beats in time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gyoza_tui.models.runs import OpRun
from gyoza_tui.models.states import RunState
from tests.blackbox.house import LATE_S, HeartbeatWatch, House, ends, failure
from tests.blackbox.test_runs import octal
from tests.images import BUSYBOX

SECRET = '{"stolen": true}'

OPS = {
    "link": "ln -s SECRET $GYOZA_OUTPUT_JSON",
    "link_to_itself": "ln -s $GYOZA_OUTPUT_JSON $GYOZA_OUTPUT_JSON",
    "pickle_link": "ln -s SECRET $GYOZA_OUTPUT_PATH",
    "fifo": "mkfifo $GYOZA_OUTPUT_JSON",
    "device": "mknod $GYOZA_OUTPUT_JSON c 1 5 || ln -s /dev/zero $GYOZA_OUTPUT_JSON",
    "directory": "mkdir $GYOZA_OUTPUT_JSON",
    "huge": "printf '{\"a\": ' > $GYOZA_OUTPUT_JSON; truncate -s 200000000 $GYOZA_OUTPUT_JSON",
    "deep": "(printf '{\"a\": '; yes '[' | head -n 200000 | tr -d '\\n') > $GYOZA_OUTPUT_JSON",
    "memo": octal(b"\x80\x02Nr\xff\xff\xff\x1f.") + " > $GYOZA_OUTPUT_PATH",
    "not_utf8": octal(b'{"a": "\xff"}') + " > $GYOZA_OUTPUT_JSON",
}
SWAPPING = (
    "(while :; do ln -sf SECRET $GYOZA_OUTPUT_JSON; rm -f $GYOZA_OUTPUT_JSON; echo '{}' > $GYOZA_OUTPUT_JSON; done) &"
    " sleep 0.5"
)


@dataclass
class Hurt:
    runs: dict[str, OpRun]
    secret: Path
    canary: Path
    late_s: float


@pytest.fixture(
    scope="module",
    params=[pytest.param("local", id="local"), pytest.param("docker", id="docker", marks=pytest.mark.docker)],
)
def hurt(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hurt]:
    """All of them at once at one worker, ended."""
    root = tmp_path_factory.mktemp("house")
    secret, canary = root / "secret", root / "canary"
    secret.write_text(SECRET)
    scripts = {name: script.replace("SECRET", str(secret)) for name, script in OPS.items()}
    scripts["swapping"] = SWAPPING.replace("SECRET", str(secret))
    scripts["global"] = octal(f"cposix\nsystem\n(S'touch {canary}'\ntR.".encode()) + " > $GYOZA_OUTPUT_PATH"
    with House(root) as house:
        if request.param == "docker":
            house.engine = request.getfixturevalue("docker_engine")
            images = dict.fromkeys(scripts, BUSYBOX)
        else:
            images = {name: house.op(name, "sh", "-c", script) for name, script in scripts.items()}
        worker = house.worker(4)
        with HeartbeatWatch(house.url, worker.id) as watch:
            runs = {}
            for name, script in scripts.items():
                command = ["sh", "-c", script] if request.param == "docker" else None
                runs[name] = house.client.create_run(images[name], command=command)
            runs = {name: house.ended(run, 90) for name, run in runs.items()}
        yield Hurt(runs, secret, canary, watch.late_s)


@pytest.mark.parametrize("name", [*OPS, "global"])
def test_each_is_a_bad_output(hurt: Hurt, name: str) -> None:
    run = hurt.runs[name]
    assert run.state is RunState.FAILED
    assert failure(run)["reason"] == "bad_output", failure(run)
    assert len(ends(run)) == 1


def test_a_file_that_is_swapped_gives_its_own_content_or_none(hurt: Hurt) -> None:
    run = hurt.runs["swapping"]
    assert run.outputs in (None, {}), run.outputs
    if run.state is RunState.FAILED:
        assert failure(run)["reason"] == "bad_output"


def test_the_host_is_untouched(hurt: Hurt) -> None:
    assert hurt.secret.read_text() == SECRET
    assert not hurt.canary.exists()


def test_no_heartbeat_is_late(hurt: Hurt) -> None:
    assert hurt.late_s <= LATE_S
