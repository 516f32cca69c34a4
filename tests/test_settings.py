"""Where settings come from, and what happens to wrong ones."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from gyoza_tui.backends.local.shim import MARK
from gyoza_tui.key_files import read_key_file
from gyoza_tui.settings import (
    Settings,
    SettingsError,
    default_worker_id,
    load,
)


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    (tmp_path / "config.toml").touch()
    monkeypatch.setenv("GYOZA_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def fails(**flags: Any) -> str:
    with pytest.raises(SettingsError) as refused:
        load(**flags)
    return str(refused.value)


def test_flags_over_environment_over_env_file_over_toml_over_defaults(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load().stop_grace_s == 10
    (home / "config.toml").write_text("stop_grace_s = 1\nmax_runs = 1\nworker_id = 'toml'\npids_limit = 100\n")
    (home / "named.env").write_text("GYOZA_STOP_GRACE_S=2\nGYOZA_MAX_RUNS=2\nGYOZA_WORKER_ID=env-file\n")
    monkeypatch.setenv("GYOZA_STOP_GRACE_S", "3")
    monkeypatch.setenv("GYOZA_MAX_RUNS", "3")
    settings = load(env_file="named.env", stop_grace_s="4", worker_id=None)
    assert (settings.stop_grace_s, settings.max_runs, settings.worker_id) == (4, 3, "env-file")
    assert (settings.pids_limit, settings.shm_mb) == (100, 1024)


def test_sizes_and_durations_may_have_a_unit(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GYOZA_SHM_MB", "2g")
    monkeypatch.setenv("GYOZA_PULL_TIMEOUT_S", "1h30m")
    (home / "config.toml").write_text('log_max_mb = "64m"\nstop_grace_s = 4\nheartbeat_s = "2s"\n')
    settings = load(drain_timeout_s="2d")
    assert (settings.shm_mb, settings.log_max_mb) == (2048, 64)
    assert (settings.pull_timeout_s, settings.stop_grace_s, settings.heartbeat_s) == (5400, 4, 2)
    assert settings.drain_timeout_s == 172_800
    monkeypatch.setenv("GYOZA_SHM_MB", "much")
    monkeypatch.setenv("GYOZA_PULL_TIMEOUT_S", "soon")
    words = fails()
    assert "'much' is no size: write it in MiB as 512, or as 512m or 4g" in words
    assert "'soon' is no duration: write it as 90s, 10m, 1h30m or 2d" in words


def test_an_empty_variable_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GYOZA_MAX_RUNS", "")
    assert load().max_runs >= 1


def test_lists_are_comma_separated(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GYOZA_TAGS", "gpu, fast,")
    assert load().tags == ("gpu", "fast")
    (home / "config.toml").write_text('allow_volumes = ["/data", "~/sets"]\n')
    assert load().allow_volumes == (Path("/data"), Path("~/sets").expanduser())


def test_a_path_is_absolute(home: Path) -> None:
    assert load(state_dir="here").state_dir == home / "here"


def test_all_faults_are_told_at_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "config.toml").write_text("max_run = 3\n")
    (home / "named.env").write_text("GYOZA_WORKERID=x\nOTHER=1\n")
    monkeypatch.setenv("GYOZA_ENV_FILE", "named.env")
    monkeypatch.setenv("GYOZA_HEARTBEAT_S", "soon")
    told = fails(max_runs="0", server_url="ftp://x")
    assert "max_run is not a setting (did you mean max_runs?)" in told
    assert f"{home / 'named.env'}: GYOZA_WORKERID is not a setting (did you mean GYOZA_WORKER_ID?)" in told
    assert "GYOZA_HEARTBEAT_S: " in told
    assert "--max-runs: " in told
    assert "--server: " in told


def test_an_unknown_variable_is_only_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GYOZA_MAXRUNS", "3")
    monkeypatch.setenv("GYOZA_RUN_ID", "an op's")
    monkeypatch.setenv(MARK, "a local op's")
    monkeypatch.setenv("GYOZA_SERVER_LOG_LEVEL", "INFO")
    assert load().warnings == ["GYOZA_MAXRUNS in the environment is not a setting (did you mean GYOZA_MAX_RUNS?)"]


def test_a_toml_file_with_a_long_integer_is_refused_without_pythons_advice(home: Path) -> None:
    (home / "config.toml").write_text(f"max_runs = {'9' * 5000}\n")
    assert fails() == f"{home / 'config.toml'} cannot be read: an integer of over 4000 digits"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"max_runs = ", "at end of document"),
        (b"ok = 1\n[[[", "line 2, column"),
        (b"\xff\xfe", "config.toml"),
        (b"[max_runs]\na = 1\n", "max_runs"),
        (b"tags = [1, 2]\n", "tags"),
        (b"x = " + b"[" * 100_000, "nested too deep"),
    ],
    ids=["cut", "malformed", "not UTF-8", "a table", "numbers", "deep"],
)
def test_a_damaged_toml_file_is_told(home: Path, content: bytes, words: str) -> None:
    (home / "config.toml").write_bytes(content)
    assert words in fails()


def test_a_toml_file_that_cannot_be_read(home: Path) -> None:
    (home / "config.toml").unlink()
    (home / "config.toml").mkdir()
    assert "config.toml" in fails()


def test_an_env_file_that_cannot_be_read(home: Path) -> None:
    (home / "named.env").write_bytes(b"GYOZA_WORKER_ID=\xff\n")
    for name in ("named.env", "nothing.env", "."):
        assert f"{home / name} cannot be read: " in fails(env_file=name)


@pytest.mark.parametrize("line", ["GYOZA_SERVER_URL=http://evil.example", "  export gyoza_api_key=x", "\nGYOZA_X=1"])
def test_an_env_file_that_is_only_there_is_not_read_but_warned_of(home: Path, line: str) -> None:
    """It may have come with what someone else wrote, and would name who gets the key."""
    (home / ".env").write_text(f"OTHER=1\n{line}\n")
    settings = load()
    assert settings.server_url == "http://localhost:5555"
    assert settings.api_key is None
    (warning,) = settings.warnings
    assert warning.startswith(f"{home / '.env'} has settings, but is not read: ")
    assert "--env-file .env or GYOZA_ENV_FILE=.env" in warning


def test_no_warning_where_there_is_nothing_to_read(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / ".env").write_text("DATABASE_URL=x\n# GYOZA_API_KEY=\nMY_GYOZA_X=1\n")
    assert load().warnings == []
    (home / ".env").write_text("GYOZA_MAX_RUNS=3\n")
    monkeypatch.setenv("GYOZA_ENV_FILE", str(home / ".env"))
    settings = load()
    assert (settings.max_runs, settings.warnings) == (3, [])
    os.mkfifo(home / "pipe")
    (home / ".env").unlink()
    (home / ".env").symlink_to("pipe")
    monkeypatch.delenv("GYOZA_ENV_FILE")
    assert load().warnings == []


def test_values_of_an_env_file_hold_no_other_variable(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    (home / "named.env").write_text("GYOZA_SERVER_URL=http://h/${SECRET}\nGYOZA_API_KEY=$SECRET\n")
    settings = load(env_file="named.env")
    assert settings.server_url == "http://h/${SECRET}"
    assert settings.key() == "$SECRET"


def test_an_empty_value_of_an_env_file_is_none(home: Path) -> None:
    (home / "named.env").write_text("GYOZA_MAX_RUNS=\nGYOZA_TAGS\n")
    assert load(env_file="named.env").max_runs >= 1


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost:5555",
        "ftp://x",
        "http://",
        "http://u:p@x",
        "http://x:99999",
        "http://x y",
        "http://[::1",
        "http:///x",
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    assert "--server: " in fails(server_url=url)
    assert "u:p" not in fails(server_url=url)


def test_a_url_loses_its_last_slash() -> None:
    assert load(server_url="http://x:1/").server_url == "http://x:1"


def test_the_key_is_in_no_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GYOZA_API_KEY", "s3cret-key")
    settings = load()
    assert settings.key() == "s3cret-key"
    assert "s3cret" not in repr(settings) + str(settings) + settings.model_dump_json()
    monkeypatch.setenv("GYOZA_API_KEY", "s3cret-\u202e")
    assert "s3cret" not in fails()


def test_the_key_file_goes_over_the_key(home: Path) -> None:
    path = home / "key"
    path.write_text("from-the-file\n")
    path.chmod(0o600)
    assert load(api_key="other", api_key_file=str(path)).key() == "from-the-file"


def test_a_key_file_that_others_can_read_is_warned_of(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = home / "key"
    path.write_text("the-key")
    path.chmod(0o640)
    assert read_key_file(path) == "the-key"
    told = capsys.readouterr().err
    assert f"chmod 600 {path}" in told
    assert "the-key" not in told
    path.chmod(0o600)
    read_key_file(path)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "content", [b"", b" \n ", b"a\nb", b"\xff", b"k\x00y", b"k\x1b[2J", b"x" * 4097, "clé".encode()]
)
def test_key_files_that_are_refused(home: Path, content: bytes) -> None:
    path = home / "key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(SettingsError, match="one line of printable ASCII"):
        read_key_file(path)


def test_key_files_that_are_none(home: Path) -> None:
    for path in (home, home / "nothing"):
        with pytest.raises(SettingsError, match="cannot be read"):
            read_key_file(path)


@pytest.mark.parametrize(
    ("host", "worker_id"),
    [("lab-gpu-01", "lab-gpu-01"), ("a b/c", "a-b-c"), ("..", "worker"), ("é", "worker"), ("x" * 100, "x" * 64)],
)
def test_the_hosts_name_as_a_worker_id(host: str, worker_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: host)
    assert default_worker_id() == worker_id
    assert Settings().worker_id == worker_id


@pytest.mark.parametrize("worker_id", ["", "a b", "../x", "a/b", "-a", ".a", "a\n", "\x1b[2J", "x" * 65, "é", "a\x00"])
def test_worker_ids_that_are_refused(worker_id: str) -> None:
    assert "--worker-id: " in fails(worker_id=worker_id)


def test_a_named_settings_file_must_be_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GYOZA_CONFIG", str(tmp_path / "typo.toml"))
    with pytest.raises(SettingsError, match=r"typo\.toml cannot be read: No such file"):
        load()


@pytest.mark.parametrize("missing", ["GYOZA_CONFIG", "GYOZA_STATE_DIR"])
def test_a_user_without_a_home_is_told(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GYOZA_STATE_DIR", "state")

    def nobody(*_arguments: object, **_options: object) -> str:
        raise RuntimeError("could not determine the home directory")

    monkeypatch.delenv(missing)
    monkeypatch.setattr("platformdirs.user_config_dir", nobody)
    monkeypatch.setattr("platformdirs.user_state_dir", nobody)
    assert "set HOME" in fails()
