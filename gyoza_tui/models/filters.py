"""The filter grammar of run lists, on the screen and on the command line: `state:failed op:train since:1h text`.

Every term must hold. A term is `key:value` or a word; a comma between values means any of them, quotes keep spaces and
colons as they are, `-` before a term turns it round. Of a name a part will do; `worker:=gpu-1` is the whole name. An
open quote at the end is taken as closed there: filters are applied while they are typed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, NamedTuple

from gyoza_tui.models import moments
from gyoza_tui.models.filter_words import QUOTE, Token, split, tokens, values
from gyoza_tui.models.moments import Moment, moment
from gyoza_tui.models.nearest import did_you_mean, nearest
from gyoza_tui.models.states import RunState

STATES: Final = (
    *("queued", "pulling", "starting", "running", "frozen", "waiting", "returning"),
    *("cancelling", "releasing", "collecting", "to_deliver"),
    *("completed", "failed", "cancelled", "released", "lost"),
    *(state.lower() for state in (RunState.PENDING, RunState.ASSIGNED)),
    "held",
)
"""What `state:` takes: the words of a worker's screen, and the server's that are not among them."""

_LAST_S: Final = datetime(9999, 12, 31, tzinfo=UTC).timestamp()
_LOOK_MIN_S: Final = 1.0


class Key(StrEnum):
    STATE = "state"
    OP = "op"
    """A part of the op's name, its version or its image."""
    RUN = "run"
    """The beginning of a run's id."""
    SINCE = "since"
    """What goes on, or ended after that time."""
    WORKER = "worker"
    """A part of the worker's name."""
    TOPIC = "topic"
    """A part of the topic's name."""
    PARENT = "parent"
    """The beginning of the id of the run that created it."""


NAMED: Final = (Key.OP, Key.WORKER, Key.TOPIC, Key.PARENT)
"""Behind whose colon a `=` says that the name is whole."""
_EXAMPLES: Final = {
    Key.STATE: ", ".join(STATES),
    Key.OP: "op:train",
    Key.RUN: "run:a1b2",
    Key.SINCE: f"since:{moments.EXAMPLES}",
    Key.WORKER: "worker:gpu-01",
    Key.TOPIC: "topic:nightly",
    Key.PARENT: "parent:a1b2",
}


class FilterError(ValueError):
    """A filter that cannot be understood; `str()` says what and what is allowed."""


class RunFacts(NamedTuple):
    """What a filter looks at, of a worker's attempt or of a server's run."""

    id: str
    states: tuple[str, ...]
    """Words of STATES; case, spaces and hyphens do not matter."""
    op: str = ""
    """Name and version."""
    image: str = ""
    note: str = ""
    worker: str = ""
    topic: str = ""
    parent: str = ""
    ended_at: float | None = None
    """UTC seconds; None while it goes on."""


def op_name(image: str, definition: str | None, version: str | None) -> str:
    """The definition and its version, or the image."""
    if definition is None:
        return image
    return f"{definition}@{version}" if version else definition


class ServerState(NamedTuple):
    """What a server knows of a run's state: one of the six, and what goes on in it."""

    state: RunState
    held: bool = False
    waiting: bool = False
    frozen: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        """What `state:` may call it, the word that a person is shown first."""
        more = {
            RunState.PENDING: ("held",) if self.held else (),
            RunState.RUNNING: ("frozen",) * self.frozen + ("waiting",) * self.waiting,
        }
        return (*more.get(self.state, ()), self.state.lower(), *_ALSO.get(self.state, ()))


def server_facts(
    run_id: str,
    state: ServerState,
    *,
    image: str,
    definition: str | None,
    version: str | None,
    worker: str | None,
    topic: str | None,
    parent: str | None,
    error: str | None,
    updated_at: float | None,
) -> RunFacts:
    """Of a run as a server knows it. One that has ended was last changed when it did; `error` is why it failed."""
    return RunFacts(
        id=run_id,
        states=state.words,
        op=op_name(image, definition, version),
        image=image,
        note=error or "",
        worker=worker or "",
        topic=topic or "",
        parent=parent or "",
        ended_at=updated_at if state.state.terminal else None,
    )


def words_of(state: RunState) -> tuple[str, ...]:
    """What `state:` may call a run that is in that state at a server."""
    return ServerState(state, held=True, waiting=True, frozen=True).words


_ALSO: Final = {RunState.PENDING: ("queued",)}


class Term(NamedTuple):
    key: Key | None
    """None: text, which is looked for in id, op, image and note."""
    values: tuple[str, ...]
    """Folded, but for whole names; any of them will do."""
    negated: bool = False
    since: Moment | None = None
    whole: bool = False
    """The values are whole names, letter for letter."""

    def matches(self, facts: RunFacts, now: float) -> bool:
        return self._holds(facts, now) is not self.negated

    def _holds(self, facts: RunFacts, now: float) -> bool:
        match self.key:
            case None:
                return self._in(facts.id, facts.op, facts.image, facts.note)
            case Key.STATE:
                return any(_state_word(state) in self.values for state in facts.states)
            case Key.OP:
                return self._names(facts.op, facts.op.partition("@")[0], facts.image)
            case Key.RUN:
                return facts.id.casefold().startswith(self.values)
            case Key.SINCE:
                return facts.ended_at is None or self.since is None or facts.ended_at >= self.since.seconds(now)
            case Key.WORKER:
                return self._names(facts.worker)
            case Key.TOPIC:
                return self._names(facts.topic)
            case Key.PARENT if self.whole:
                return facts.parent in self.values
            case Key.PARENT:
                return facts.parent.casefold().startswith(self.values)

    def _names(self, *names: str) -> bool:
        return any(name in self.values for name in names) if self.whole else self._in(*names)

    def _in(self, *texts: str) -> bool:
        folded = [text.casefold() for text in texts]
        return any(value in text for value in self.values for text in folded)


class RunFilter(NamedTuple):
    """Every term must hold; the empty filter lets everything through."""

    terms: tuple[Term, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.terms)

    def matches(self, facts: RunFacts, now: float) -> bool:
        """`now` is UTC seconds."""
        return all(term.matches(facts, now) for term in self.terms)

    @property
    def good_for_s(self) -> float | None:
        """How long what it lets through is true to a hundredth of its shortest time ago; None: it names none."""
        agos = [term.since.ago_s for term in self.terms if term.since is not None and term.since.ago_s is not None]
        return max(_LOOK_MIN_S, min(agos) / 100) if agos else None


def parse(text: str) -> RunFilter:
    """The filter that a person wrote. Raises FilterError."""
    return RunFilter(tuple(_term(token) for token in tokens(text)))


def term(key: Key, *wanted: str, whole: bool = False) -> str:
    """The text of a term, which any of the values fulfils; they may hold whatever they like but quotes."""
    return f"{key}:{'=' * whole}" + ",".join(QUOTE + value.replace(QUOTE, "") + QUOTE for value in wanted)


def resolved(text: str, now: float) -> str:
    """The same filter, its times in UTC: it means the same moments wherever and whenever it is read.

    `now` is UTC seconds. Raises FilterError.
    """
    return " ".join(_resolved(word, now) for word in split(text))


def _resolved(word: str, now: float) -> str:
    for token in tokens(word):
        if token.key is not None and (since := _term(token).since) is not None:
            at = datetime.fromtimestamp(min(max(0.0, since.seconds(now)), _LAST_S), UTC)
            return ("-" if token.negated else "") + f"{Key.SINCE}:{at.isoformat()}"
    return word


def is_term(text: str) -> bool:
    """Whether it is `key:value`, not a word."""
    return any(token.key is not None for token in tokens(text))


def _term(token: Token) -> Term:
    if token.key is None:
        return Term(None, (token.value.casefold(),), token.negated)
    key = _key(token.key)
    whole = key in NAMED and token.value.startswith("=")
    found = values(token.value[1:] if whole else token.value)
    if not found:
        raise FilterError(f"{key}: wants a value: {_EXAMPLES[key]}")
    if whole:
        return Term(key, tuple(found), token.negated, whole=True)
    if key is Key.SINCE:
        return Term(key, (), token.negated, _since(",".join(found)))
    if key is Key.STATE:
        return Term(key, tuple(_state(value) for value in found), token.negated)
    return Term(key, tuple(value.casefold() for value in found), token.negated)


def _key(word: str) -> Key:
    try:
        return Key(word.casefold())
    except ValueError:
        near = did_you_mean(nearest(word, Key))
        words = f'no filter key "{word}"{near}; keys are {", ".join(Key)}; quote it to look for the text'
        raise FilterError(words) from None


def _state_word(text: str) -> str:
    return text.casefold().replace(" ", "_").replace("-", "_")


def _state(text: str) -> str:
    word = _state_word(text)
    if word not in STATES:
        raise FilterError(f'no state "{text}"{did_you_mean(nearest(word, STATES))}; states are {", ".join(STATES)}')
    return word


def _since(text: str) -> Moment:
    try:
        return moment(text)
    except ValueError as error:
        raise FilterError(f"since: {error}") from None
