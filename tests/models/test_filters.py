"""The filter grammar: what is understood, what it lets through, and what is said of what is not understood."""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import datetime
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gyoza_tui.models.filters import (
    STATES,
    FilterError,
    Key,
    RunFacts,
    RunFilter,
    ServerState,
    is_term,
    parse,
    resolved,
    server_facts,
    term,
    words_of,
)
from gyoza_tui.models.states import RunState

NOW: Final = datetime.fromisoformat("2026-11-20T12:00").timestamp()
"""Of this machine's own time, as what a person types."""
TRAIN: Final = RunFacts(
    id="a1b2c3d4",
    states=("FAILED",),
    op="Train@2.1.0",
    image="registry/train:2.1",
    note="oom_killed, exit 137: used more than 64 MB",
    worker="lab-gpu-01",
    topic="nightly/train",
    parent="77FE01aa",
    ended_at=NOW - 1800,
)
GOING: Final = TRAIN._replace(id="77fe01aa", states=("TO DELIVER",), ended_at=None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "oom",
        "OOM EXIT",
        "a1b2",
        "state:failed",
        "STATE:Failed",
        "state:completed,failed",
        "state:failed,",
        "op:train",
        "op:TRAIN@2",
        "op:registry/",
        "op:embed,train",
        "run:A1b",
        "worker:gpu",
        "worker:=lab-gpu-01",
        'worker:=other,"lab-gpu-01"',
        "op:=Train",
        "op:=Train@2.1.0",
        "op:=registry/train:2.1",
        "topic:=nightly/train",
        "-worker:=lab-gpu-0",
        "topic:nightly",
        "parent:77fe",
        "parent:0,77FE01AA",
        "parent:=77FE01aa",
        "-parent:a1b2",
        "since:1h",
        "since:0.6h",
        "since:31m",
        "since:1801s",
        "since:2d",
        "since:1w",
        "since:2026-11-20",
        "since:2026-11-20T11:00",
        'since:"2026-11-20 11:00"',
        '"more than 64"',
        '"more than 64',
        'op:"train@2.1.0"',
        "-completed -state:completed",
        "-run:77",
        "-since:10m",
        "-",
        '"',
        "state:failed op:train since:1h oom",
        "exit 137:",
    ],
)
def test_lets_through(text: str) -> None:
    assert parse(text).matches(TRAIN, NOW)


@pytest.mark.parametrize(
    "text",
    [
        "cuda",
        "oom cuda",
        "state:completed",
        "op:embed",
        "run:b2",
        "worker:cpu",
        "worker:=lab-gpu-0",
        "worker:=LAB-GPU-01",
        'worker:"=lab-gpu-01"',
        "op:=Trai",
        "op:=2.1.0",
        "topic:=nightly",
        "parent:fe01",
        "parent:=77FE",
        "parent:=77fe01aa",
        "-parent:77",
        "-worker:=lab-gpu-01",
        "since:10m",
        "since:2026-11-20T11:45",
        '"64 more"',
        "-oom",
        "-state:failed",
        '-"64 MB"',
        "-since:1h",
        "state:failed state:completed",
        "lab-gpu-01",
    ],
)
def test_holds_back(text: str) -> None:
    assert not parse(text).matches(TRAIN, NOW)


@pytest.mark.parametrize("text", ["state:to_deliver", "state:to-deliver", 'state:"to deliver"', "since:1s"])
def test_what_goes_on(text: str) -> None:
    assert parse(text).matches(GOING, NOW)


def test_a_relative_time_goes_by_the_time_of_looking() -> None:
    wanted = parse("since:1h")
    assert wanted.matches(TRAIN, NOW)
    assert not wanted.matches(TRAIN, NOW + 3600)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("since:1h", "since:2026-11-20T03:00:00+00:00"),
        ("-Since:30m oom", "-since:2026-11-20T03:30:00+00:00 oom"),
        ("since:2026-11-20T12:00 op:x", "since:2026-11-20T03:00:00+00:00 op:x"),
        ('since:"2026-11-20 12:00+01:00"', "since:2026-11-20T11:00:00+00:00"),
        ("since:999999999w", "since:1970-01-01T00:00:00+00:00"),
        ("since:9999-12-31T23:59-12:00", "since:9999-12-31T00:00:00+00:00"),
        ('"since:1h" state:failed "oo', '"since:1h" state:failed "oo'),
    ],
)
def test_resolved_it_means_the_same_moment_in_every_time_zone(
    text: str, same: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert resolved(text, datetime.fromisoformat("2026-11-20T04:00+00:00").timestamp()) == same
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("state:", "state: wants a value: queued, pulling"),
        ("state:,", "state: wants a value"),
        ("state:faild", 'no state "faild" (did you mean failed?); states are queued'),
        ("state:runn", 'no state "runn" (did you mean running?)'),
        ("state:xyzzy", 'no state "xyzzy"; states are queued'),
        (
            "stat:failed",
            'no filter key "stat" (did you mean state?); keys are state, op, run, since, worker, topic',
        ),
        ("train:1", 'no filter key "train"; keys are state'),
        ("op:", "op: wants a value: op:train"),
        ("op:=", "op: wants a value: op:train"),
        ("state:=failed", 'no state "=failed" (did you mean failed?)'),
        ("since:", "since: wants a value: since:30m"),
        ("since:1", "since: '1' is no time: write it as 30m, 1h"),
        ("since:1y", "since: '1y' is no time"),
        ("since:yesterday", "since: 'yesterday' is no time"),
        ("since:2026-13-01", "since: '2026-13-01' is no time"),
        ("since:0000-01-01", "since: '0000-01-01' is no time"),
    ],
)
def test_what_is_not_understood_is_told(text: str, words: str) -> None:
    with pytest.raises(FilterError) as told:
        parse(text)
    assert str(told.value).startswith(words)


_WORDS = st.text(st.characters(codec="utf-8"), max_size=20) | st.sampled_from(
    ["state:failed", "-op:", 'run:"a', "since:1h", "since:2026-11-20", '"', "-", "oom"]
)


@given(st.lists(_WORDS, max_size=6).map(" ".join))
def test_whatever_is_typed_is_understood_or_told(text: str) -> None:
    with suppress(FilterError):
        assert parse(text).matches(TRAIN, NOW) in (True, False)


_TERMS = st.sampled_from(
    [*(f"state:{state}" for state in STATES), "op:train", "run:a1", "run:77", "oom", '"64 MB"', "since:1h", "since:1m"]
)


@given(_TERMS)
def test_a_term_turned_round_lets_the_others_through(term: str) -> None:
    for facts in (TRAIN, GOING):
        assert parse(term).matches(facts, NOW) is not parse("-" + term).matches(facts, NOW)


@given(st.lists(_TERMS, max_size=5))
def test_every_term_must_hold(terms: list[str]) -> None:
    for facts in (TRAIN, GOING):
        assert parse("  ".join(terms)).matches(facts, NOW) is all(parse(term).matches(facts, NOW) for term in terms)


@given(st.text(st.characters(exclude_characters='"', exclude_categories=["Cs"]), min_size=1))
def test_quoted_text_is_found_where_it_stands(text: str) -> None:
    assert parse(f'"{text}"').matches(TRAIN._replace(note=f"<{text}>"), NOW)
    assert parse(f'op:"{text}"').matches(TRAIN._replace(op=f"<{text}>"), NOW)


def test_no_filter_is_empty() -> None:
    assert not parse(" - ")
    assert parse("x")
    assert RunFilter().matches(TRAIN, NOW)
    assert list(Key) == ["state", "op", "run", "since", "worker", "topic", "parent"]


def test_a_term_that_is_put_together_means_its_values() -> None:
    (found,) = parse(term(Key.OP, "my op:1", 'say "x"')).terms
    assert found.values == ("my op:1", "say x")
    assert parse(term(Key.RUN, "a1")) == parse("run:a1")
    assert parse(term(Key.WORKER, "a,1", "b", whole=True)) == parse('worker:="a,1",b')


@pytest.mark.parametrize(
    ("text", "so"),
    [("state:failed", True), ("-op:x", True), ("stat:x", True), ("a1b2", False), ("a-1.b", False), ("", False)],
)
def test_what_is_a_term_and_what_a_word(text: str, so: bool) -> None:
    assert is_term(text) is so


def test_a_servers_run_ended_when_it_was_last_changed() -> None:
    def facts(state: RunState) -> RunFacts:
        return server_facts(
            "a1",
            ServerState(state),
            image="busybox",
            definition="train",
            version="1.0",
            worker=None,
            topic=None,
            parent=None,
            error="no disk",
            updated_at=NOW - 60,
        )

    for state, words in ((RunState.FAILED, "state:failed"), (RunState.PENDING, "state:queued state:pending")):
        assert parse(f"{words} op:train@1 busybox disk").matches(facts(state), NOW)
    assert parse("since:2m").matches(facts(RunState.FAILED), NOW)
    assert not parse("since:30s").matches(facts(RunState.FAILED), NOW)
    assert parse("since:30s").matches(facts(RunState.RUNNING), NOW)
    assert not parse("worker:a").matches(facts(RunState.RUNNING), NOW)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (ServerState(RunState.PENDING), ("pending", "queued")),
        (ServerState(RunState.PENDING, held=True), ("held", "pending", "queued")),
        (ServerState(RunState.RUNNING, waiting=True), ("waiting", "running")),
        (ServerState(RunState.RUNNING, waiting=True, frozen=True), ("frozen", "waiting", "running")),
        (ServerState(RunState.FAILED, held=True, waiting=True), ("failed",)),
    ],
)
def test_a_servers_run_is_called_by_what_goes_on_in_it_first(state: ServerState, words: tuple[str, ...]) -> None:
    assert state.words == words
    assert set(words) <= set(words_of(state.state))


@pytest.mark.parametrize(
    ("text", "good_for_s"),
    [("op:x", None), ("since:2026-11-20", None), ("since:1h", 36), ("-since:1h since:2d", 36), ("since:5s", 1)],
)
def test_only_a_time_ago_makes_what_is_let_through_go_stale(text: str, good_for_s: float | None) -> None:
    assert parse(text).good_for_s == good_for_s
