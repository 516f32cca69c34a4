"""What is installed is all that is needed: the wheel's files, and the command in a venv that knows nothing else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from gyoza_tui import __version__
from tests.commands import environment
from tests.servers import KEY, ServerThread
from tests.ui.terminal.pty_session import PtySession

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "gyoza_tui"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_holds_every_file_of_the_package_and_no_other(wheel: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "gyoza_tui"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    here = {name for name in listed.stdout.split() if (ROOT / name).exists()}
    with zipfile.ZipFile(wheel) as file:
        names = {name for name in file.namelist() if ".dist-info/" not in name}
    assert names == here
    assert {"gyoza_tui/ui/gyoza.tcss", "gyoza_tui/demo/train.py", "gyoza_tui/op.py", "gyoza_tui/py.typed"} <= names


def test_the_wheel_brings_the_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        info = f"gyoza_tui-{__version__}.dist-info"
        assert "gyoza-tui = gyoza_tui.__main__:main" in file.read(f"{info}/entry_points.txt").decode()
        metadata = file.read(f"{info}/METADATA").decode()
    assert f"Version: {__version__}" in metadata
    assert "Requires-Dist: textual" in metadata


@pytest.mark.long
@pytest.mark.parametrize("source", ["wheel", "tree"])
def test_a_clean_venv_has_all_that_it_needs(wheel: Path, tmp_path: Path, source: str) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True, timeout=120)
    what = str(wheel) if source == "wheel" else str(ROOT)
    pip: list[str | Path] = [venv / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--constraint", ROOT / "constraints.txt", what], check=True, timeout=600, cwd=tmp_path)
    env = environment(tmp_path, TERM="xterm-256color", GYOZA_MIN_FREE_MB="0", HOME=str(tmp_path))
    env = {name: value for name, value in env.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}

    def says(*argv: str | os.PathLike[str]) -> str:
        told = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False)
        assert told.returncode == 0, told.stdout + told.stderr
        return told.stdout

    starts: list[list[str | os.PathLike[str]]] = [
        [venv / "bin/gyoza-tui"],
        [venv / "bin/python", "-m", "gyoza_tui"],
    ]
    for start in starts:
        assert says(*start, "--version") == f"gyoza-tui {__version__}\n"
        assert "Commands:" in says(*start, "--help")
    assert str(venv) in says(venv / "bin/python", "-c", "import gyoza_tui; print(gyoza_tui.__file__)")
    assert "complete" in says(venv / "bin/gyoza-tui", "completion", "bash")
    assert "session: no run ended" in says(venv / "bin/gyoza-tui", "--local", "--until-empty", "--no-ui")
    argv = [str(venv / "bin/gyoza-tui"), "--local", "--max-seconds", "4"]
    with PtySession(argv, env=env, cwd=tmp_path) as session:
        session.wait_for("CLAIMING")
        assert session.on_screen
        assert session.wait(30) == 0
        assert not session.on_screen
        session.wait_for("session: no run ended")


@pytest.mark.long
def test_what_the_page_says_installs_upgrades_and_removes_it(tmp_path: Path) -> None:
    """docs/operating.md, with a place of its own instead of /opt and /usr/local."""
    page = (ROOT / "docs" / "operating.md").read_text()
    for here, there in {"/opt/gyoza": tmp_path / "gyoza", "/usr/local/bin": tmp_path / "bin"}.items():
        page = page.replace(here, str(there))
    (tmp_path / "bin").mkdir()
    path = f"{tmp_path / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {name: value for name, value in environment(tmp_path).items() if not name.startswith("GYOZA_")}
    env |= {"HOME": str(tmp_path), "PATH": path, "PIP_CONSTRAINT": str(ROOT / "constraints.txt")}

    def types(text: str) -> None:
        argv = ["bash", "-e", "-c", text]
        told = subprocess.run(argv, cwd=ROOT, env=env, capture_output=True, text=True, timeout=600, check=False)
        assert told.returncode == 0, told.stdout + told.stderr

    def block(heading: str) -> str:
        return page.partition(f"\n## {heading}\n")[2].partition("```sh\n")[2].partition("```")[0]

    (key,) = re.findall(r"`(openssl [^`]*)`", page)
    types(key)
    assert len((tmp_path / ".gyoza-key").read_text().strip()) == 64
    types(block("Install"))
    assert (tmp_path / "bin/gyoza-tui").resolve() == tmp_path / "gyoza/bin/gyoza-tui"
    types(block("Upgrade"))
    with ServerThread(tmp_path / "server.db") as server:
        settings = tmp_path / ".config/gyoza-tui/config.toml"
        settings.parent.mkdir(parents=True)
        settings.write_text(f'server_url = "{server.url}"\napi_key = "{KEY}"\n')
        settings.chmod(0o600)
        types(block("Uninstall"))
    places = (".local/state", ".config", "bin")
    assert [path for place in places for path in (tmp_path / place).iterdir()] == []
    assert not (tmp_path / "gyoza").exists()
