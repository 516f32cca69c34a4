"""`config show`: what holds, and who said so."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gyoza_tui.own_server import Announcement, files_of_serve, files_of_worker, made_key
from gyoza_tui.server_access import client_of
from gyoza_tui.settings import PREFIX, Settings, load
from gyoza_tui.worker_dirs import worker_dir
from tests.cli.conftest import Verb


def _shown(verb: Verb, *before: str) -> dict[str, tuple[object, str]]:
    told = verb(*before, "config", "show", "--json")
    assert told.code == 0, told.err
    return {each["setting"]: (each["value"], each["from"]) for each in json.loads(told.out)}


def test_each_source_is_named(verb: Verb, clean_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GYOZA_MAX_RUNS", "3")
    (clean_environment / "my.env").write_text("GYOZA_TAGS=a,b\nGYOZA_MAX_RUNS=4\n")
    (clean_environment / "config.toml").write_text('shm_mb = 5\nmax_runs = 6\ntags = ["c"]\nlog_format = "json"\n')
    shown = _shown(verb, "--server", "http://box:1", "--env-file", "my.env")
    assert shown["GYOZA_SERVER_URL"] == ("http://box:1", "flag")
    assert shown["GYOZA_MAX_RUNS"] == (3, "environment")
    assert shown["GYOZA_TAGS"] == (["a", "b"], str(clean_environment / "my.env"))
    assert shown["GYOZA_SHM_MB"] == (5, str(clean_environment / "config.toml"))
    assert shown["GYOZA_LOG_FORMAT"] == ("json", str(clean_environment / "config.toml"))
    assert shown["GYOZA_PIDS_LIMIT"] == (4096, "default")
    assert list(shown) == [PREFIX + name.upper() for name in Settings.model_fields], "every setting, in their order"


def test_no_secret_is_shown(verb: Verb, clean_environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (clean_environment / "my.env").write_text("GYOZA_API_KEY=hunter2hunter2\n")
    monkeypatch.setenv("GYOZA_ENV_FILE", "my.env")
    for flags in ((), ("--json",)):
        told = verb("config", "show", *flags)
        assert "hunter2" not in told.out + told.err
        assert "GYOZA_API_KEY" in told.out
    assert _shown(verb)["GYOZA_API_KEY"] == ("**********", str(clean_environment / "my.env"))


def test_as_a_person_reads_it(verb: Verb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GYOZA_UI_KEYMAP", "pause=P;drain=ctrl+d,f9")
    monkeypatch.setenv("GYOZA_MAX_RUN", "3")
    told = verb("config", "show")
    rows = {line.split()[0]: line.split()[1:] for line in told.out.splitlines()[1:]}
    assert rows["GYOZA_UI_KEYMAP"] == ["pause=P;drain=ctrl+d,f9", "environment"]
    assert rows["GYOZA_UI_MOUSE"] == ["true", "default"]
    assert rows["GYOZA_OPS_FILE"] == ["-", "default"]
    assert "did you mean GYOZA_MAX_RUNS?" in told.err


def test_config_alone_says_what_it_can(verb: Verb) -> None:
    told = verb("config")
    assert (told.code, "gyoza-tui config show" in told.err) == (2, True)


def test_faults_are_told_as_everywhere(verb: Verb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GYOZA_MAX_RUNS", "many")
    told = verb("config", "show")
    assert (told.code, told.out) == (2, "")
    assert "GYOZA_MAX_RUNS" in told.err


def test_completion_is_a_verb_of_its_own(verb: Verb) -> None:
    """No flag of this one, which typer would add."""
    assert "completion" not in verb("config", "--help").out


def test_it_names_the_server_that_the_verbs_speak_to(
    verb: Verb, clean_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether `--local` made it, or `serve` did and it is named in another way than it names itself."""
    state_dir = clean_environment / "state"
    of_serve, of_worker = files_of_serve(state_dir), files_of_worker(worker_dir(state_dir, "desk"))
    for files, port in ((of_serve, 5555), (of_worker, 6001)):
        made_key(files.key)
        announcement = Announcement(files, f"http://127.0.0.1:{port}")
        shown = _shown(verb)
        with client_of(load()) as client:
            assert shown["GYOZA_SERVER_URL"][0] == client.base_url
        assert shown["GYOZA_API_KEY"] == ("**********", str(files.key))
        if files is of_serve:
            assert shown["GYOZA_SERVER_URL"] == ("http://localhost:5555", "default")
            announcement.withdraw()
    assert shown["GYOZA_SERVER_URL"] == ("http://127.0.0.1:6001", str(of_worker.announcement(6001)))
    monkeypatch.setenv("GYOZA_SERVER_URL", "http://box:1")
    assert _shown(verb)["GYOZA_SERVER_URL"] == ("http://box:1", "environment")
    announcement.withdraw()
