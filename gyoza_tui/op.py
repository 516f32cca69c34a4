"""What an op's author imports. One file that needs nothing but Python 3.8: copy it beside your op as `gyoza_op.py`.

    from gyoza_op import op, progress

    @op
    def classify(image_path: str, top_k: int = 3):
        progress(50)
        return {"labels": ["cat"]}

    if __name__ == "__main__":
        classify.run()

Under gyoza the inputs come from the run and the outputs go to it. Anywhere else `python my_op.py image_path=a.jpg`
takes the inputs from its arguments and prints the outputs.

A run that may submit (`may_submit` in its definition, `--may-submit`) creates runs and waits for them. While it waits
it has no slot, so its children can have it:

    children = [submit("embed@1", {"shard": i}) for i in range(8)]
    files = [child.result()["file"] for child in as_completed(children)]

In a shell: `python3 gyoza_op.py submit embed@1 shard=3 --wait`.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import pickle
import sys
import time
import traceback
import typing
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

if TYPE_CHECKING:
    import argparse
    import socket

__all__ = [
    "ALL_COMPLETED",
    "FIRST_COMPLETED",
    "FIRST_EXCEPTION",
    "Child",
    "NotUnderGyoza",
    "RunCancelled",
    "RunFailed",
    "SubmitRefused",
    "as_completed",
    "error",
    "info",
    "inputs",
    "op",
    "outputs",
    "progress",
    "submit",
    "wait",
]

_COMPLETED = "COMPLETED"
_FOREVER_S = 1e7
FIRST_COMPLETED = "first_completed"
FIRST_EXCEPTION = "first_exception"
ALL_COMPLETED = "all_completed"

_WORDS_MAX = 2000
"""Characters of an exception that its event tells; the log has all of it."""
_TYPES = {
    str: "text",
    int: "an int",
    float: "a number",
    bool: "true or false",
    list: "a JSON list",
    dict: "a JSON object",
}
"""What an argument can be read as."""
_outputs: dict[str, Any] = {}
_percent = -1


def inputs() -> dict[str, Any]:
    """The run's inputs by name; outside of gyoza the arguments `name=value`, JSON where that reads as JSON."""
    given = _of_the_run()
    return _of_the_arguments({}) if given is None else given


def outputs(**values: Any) -> None:
    """Give these outputs. May be called again: what was given before stays, a name given again is replaced.

    What has a `tolist` (as NumPy's) becomes a list or number, a path text. TypeError for what JSON has no words for.
    """
    text = _as_json(values)
    _outputs.update(values)
    if (path := os.environ.get("GYOZA_OUTPUT_JSON")) is not None:
        _replace(path, _as_json(_outputs).encode())
    elif (path := os.environ.get("GYOZA_OUTPUT_PATH")) is not None:
        _replace(path, pickle.dumps(json.loads(_as_json(_outputs)), protocol=4))
    else:
        print(text, flush=True)


def progress(percent: float, /, **payload: Any) -> None:
    """How far the op is, 0 to 100. Each whole percent is told once, a payload always: call it as often as you like."""
    global _percent
    percent = round(min(100.0, max(0.0, percent)), 1)
    if payload or int(percent) != _percent:
        _percent = int(percent)
        _tell("PROGRESS", percent, payload)


def info(message: str, /, **payload: Any) -> None:
    """A line of the run's timeline."""
    _tell("INFO", str(message), payload)


def error(message: str, /, **payload: Any) -> None:
    """The same, as an error. The op goes on: whether it fails is told by its exit code alone."""
    _tell("ERROR", str(message), payload)


def op(function: Callable[..., Any]) -> _Op:
    """Makes an op of a function that takes the inputs and returns a dict of the outputs, or None."""
    return _Op(function)


class _Op:
    """The function, called as before; and `run`, which is what a container runs."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.__name__ = getattr(function, "__name__", "op")
        self.__doc__ = function.__doc__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._function(*args, **kwargs)

    def run(self) -> None:
        """Read the inputs, call the function, write its outputs.

        An exception becomes an ERROR event, its traceback goes to stderr, and the process ends with exit code 1.
        """
        try:
            given = self._function(**self._arguments())
            if given is not None and not isinstance(given, dict):
                raise TypeError(f"{self.__name__} must return a dict of outputs or None, not {type(given).__name__}")
            if given is not None:
                outputs(**given)
        except _BadInputs as faults:
            _fail(str(faults))
        except Exception as fault:
            sys.stdout.flush()
            behind_run = fault.__traceback__.tb_next if fault.__traceback__ else None
            traceback.print_exception(type(fault), fault, behind_run)
            _fail("".join(traceback.format_exception_only(type(fault), fault)).strip())

    def _arguments(self) -> dict[str, Any]:
        """The inputs, which fit the function. _BadInputs tells all that do not."""
        given = _of_the_run()
        if given is None:
            given = _of_the_arguments(self._types())
        parameters = inspect.signature(self._function).parameters
        named = {name: p for name, p in parameters.items() if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
        needed = [name for name, p in named.items() if p.default is p.empty]
        faults = [f"the input {name} is missing" for name in needed if name not in given]
        if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            faults += [f"{name!a} is not an input" for name in given if name not in named]
        if faults:
            words = (name if name in needed else f"[{name}={p.default!r}]" for name, p in named.items())
            raise _BadInputs("; ".join(faults) + f". Inputs of {self.__name__}: {' '.join(words) or 'none'}")
        return given

    def _types(self) -> dict[str, type]:
        """What the annotations and defaults say, where that is one of the types that an argument can be read as."""
        try:
            hints = typing.get_type_hints(self._function)
        except Exception:  # as `int | None` on an old Python, or a name that only a type checker knows
            hints = {}
        types = {}
        for name, parameter in inspect.signature(self._function).parameters.items():
            known = _plain(hints.get(name)) or type(parameter.default)
            if known in _TYPES:
                types[name] = known
        return types


class _BadInputs(Exception):
    """What is wrong with the inputs, in words that need no traceback."""


def _plain(hint: Any) -> Any:
    """`list` for `List[int]`, `int` for `Optional[int]`."""
    origin = typing.get_origin(hint)
    if origin in _TYPES:
        return origin
    if origin is typing.Union or getattr(origin, "__name__", None) == "UnionType":
        parts = [part for part in typing.get_args(hint) if part is not type(None)]
        return _plain(parts[0]) if len(parts) == 1 else hint
    return hint


def _of_the_run() -> dict[str, Any] | None:
    """None outside of gyoza."""
    found: dict[str, Any] | None = None
    if (path := os.environ.get("GYOZA_INPUT_JSON")) is not None:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    elif (path := os.environ.get("GYOZA_INPUT_PATH")) is not None:
        with open(path, "rb") as pickled:
            found = pickle.load(pickled)
    return found


def _of_the_arguments(types: dict[str, type]) -> dict[str, Any]:
    return _of_pairs(sys.argv[1:], types)


def _of_pairs(arguments: list[str], types: dict[str, type]) -> dict[str, Any]:
    found, faults = {}, []
    for argument in arguments:
        name, equals, text = argument.partition("=")
        if not equals:
            faults.append(f"{argument!a}: write an input as name=value")
            continue
        try:
            found[name] = _read(text, types.get(name))
        except ValueError:
            faults.append(f"{name} must be {_TYPES[types[name]]}, not {text!a}")
    if faults:
        raise _BadInputs("; ".join(faults))
    return found


def _read(text: str, wanted: type | None) -> Any:
    """The value of an argument. ValueError when it is not of the type that is wanted."""
    if wanted is str:
        return text
    try:
        value = json.loads(text)
    except ValueError:
        if wanted is None:
            return text
        raise
    if wanted is float and type(value) is int:
        return float(value)
    if wanted is not None and type(value) is not wanted:
        raise ValueError(text)
    return value


def _as_json(values: dict[str, Any], what: str = "output") -> str:
    words = []
    for name, value in values.items():
        try:
            words.append(f"{json.dumps(name)}: {json.dumps(value, default=_as_plain)}")
        except (TypeError, ValueError, RecursionError) as fault:
            why = "it holds an integer of over 4000 digits" if "integer string conversion" in str(fault) else fault
            raise TypeError(f"the {what} {name!a} cannot be written as JSON: {why}") from None
    return "{" + ", ".join(words) + "}"


def _as_plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__} is not a JSON type")


def _replace(path: str, data: bytes) -> None:
    """Whole or not at all: an op that is stopped while it writes leaves what it had given before."""
    part = path + ".part"
    with open(part, "wb") as file:
        file.write(data)
    os.replace(part, path)


def _tell(kind: str, message: str | float, payload: dict[str, Any]) -> None:
    if "GYOZA_OUTPUT_JSON" in os.environ or "GYOZA_OUTPUT_PATH" in os.environ:
        event = {"type": kind, "msg": message, **({"payload": payload} if payload else {})}
        print(json.dumps(event, default=str, skipkeys=True), flush=True)
    else:
        words = f"{message:g}%" if kind == "PROGRESS" else f"{kind} {message}"
        print(words, *(f"{name}={value}" for name, value in payload.items()), file=sys.stderr, flush=True)


def _fail(words: str) -> NoReturn:
    error(words[:_WORDS_MAX])
    sys.exit(1)


# Runs that this run creates


class NotUnderGyoza(RuntimeError):
    """There is no server to create a run at, or this run may create none."""


class SubmitRefused(RuntimeError):
    """What was asked is not done; the words say why."""


class RunFailed(RuntimeError):
    """A child has failed."""

    def __init__(self, id: str, state: str, failure: str) -> None:  # noqa: A002 - as a Child has it
        super().__init__(f"the run {id} is {state}" + (f": {failure}" if failure else ""))
        self.id, self.state, self.failure = id, state, failure


class RunCancelled(RunFailed):
    """A child was cancelled."""


class DoneAndNotDone(NamedTuple):
    """What `wait` returns."""

    done: set[Child]
    not_done: set[Child]


class Child:
    """A run that this run has created; much as a `concurrent.futures.Future`."""

    def __init__(self, id: str) -> None:  # noqa: A002 - what everybody calls it
        self.id = id
        self._end: str | None = None
        """The state in which it has ended, as far as that is known here."""

    def __repr__(self) -> str:
        return f"Child({self.id!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Child) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def state(self) -> str:
        """PENDING, ASSIGNED, RUNNING, COMPLETED, FAILED or CANCELLED."""
        return str(self._told()["state"])

    def done(self) -> bool:
        """Whether it has ended. To call this again and again keeps the slot: `wait` gives it up."""
        if self._end is None:
            self._told()
        return self._end is not None

    def result(self, timeout: float | None = None) -> dict[str, Any]:
        """Its outputs, once it has ended. Raises RunFailed, RunCancelled, TimeoutError.

        When the time is over this run goes on as soon as a slot is free. A child that has ended by then has not timed
        out.
        """
        end = self._ended(timeout)
        if end["state"] != _COMPLETED:
            raise _failure(self.id, end)
        found: dict[str, Any] = end["outputs"]
        return found

    def exception(self, timeout: float | None = None) -> RunFailed | None:
        """Why it has not completed, once it has ended. Raises TimeoutError."""
        end = self._ended(timeout)
        return None if end["state"] == _COMPLETED else _failure(self.id, end)

    def cancel(self) -> bool:
        """Have it cancelled; whether it is. One that has ended stays as it is."""
        return bool(_asked({"do": "cancel", "child": self.id})["state"] == "CANCELLED")

    def _told(self, *, result: bool = False) -> dict[str, Any]:
        told = _asked({"do": "state", "child": self.id, "result": result})
        self._end = told["state"] if told["ended"] else None
        return told

    def _ended(self, timeout: float | None) -> dict[str, Any]:
        """What is told of it once it has ended; one that is tried again has not."""
        deadline = _deadline(timeout)
        while True:
            is_over = self._end is None and not wait([self], _left(deadline)).done
            told = self._told(result=True)
            if told["ended"]:
                return told
            if is_over:
                raise TimeoutError(f"the run {self.id} has not ended within {timeout:g} s")


def submit(
    what: str,
    inputs: dict[str, Any] | None = None,
    *,
    key: str | None = None,
    constraints: dict[str, Any] | None = None,
    timeout_s: float | None = None,
    retry: int | None = None,
    detach: bool = False,
) -> Child:
    """Create a run: of a definition, NAME@VERSION or NAME@ for its latest; or of an image, where that is allowed.

    Returns when the server has it. `constraints` stand in place of those of the definition that they name, as
    `{"ram_mb": 4096}`; `timeout_s`: stop it after so many seconds; `retry`: try it again so often. Both stand in place
    of what the definition says. `detach`: it goes on when this run is cancelled or fails. Another attempt of this run
    that submits the same gets the same child, ended or not: by its `key`, or by all that is said here, the n-th equal
    call being the n-th such child.
    """
    said: dict[str, Any] = {"do": "submit", "what": what, "inputs": json.loads(_as_json(inputs or {}, "input"))}
    given = {"constraints": constraints, "timeout_s": timeout_s, "detach": detach or None}
    said.update((name, value) for name, value in given.items() if value is not None)
    if retry is not None:
        said["retry_policy"] = {"max_attempts": retry + 1}
    _socket_path()
    said.update({"nth": _nth(said)} if key is None else {"key": key})
    return Child(str(_asked(said)["id"]))


def wait(children: Iterable[Child], timeout: float | None = None, return_when: str = ALL_COMPLETED) -> DoneAndNotDone:
    """Wait until they have ended, the first has (FIRST_COMPLETED), one has not completed (FIRST_EXCEPTION), or the
    time is over. Meanwhile this run has no slot; when the time is over it goes on as soon as a slot is free."""
    wanted = set(children)
    ended = {child for child in wanted if child._end is not None}
    enough = {
        FIRST_COMPLETED: bool(ended),
        FIRST_EXCEPTION: any(child._end != _COMPLETED for child in ended),
        ALL_COMPLETED: False,
    }
    if wanted != ended and not enough[return_when]:
        with contextlib.closing(_Wait(wanted - ended, return_when)) as waiting:
            ended.update(waiting.more(timeout))
    return DoneAndNotDone(ended, wanted - ended)


def as_completed(children: Iterable[Child], timeout: float | None = None) -> Iterator[Child]:
    """Each of them, as it ends. Raises TimeoutError when they have not all ended in that time."""
    deadline = _deadline(timeout)
    wanted = set(children)
    with contextlib.closing(_Wait(wanted, FIRST_COMPLETED)) as waiting:
        while waiting.left:
            ended = waiting.more(_left(deadline))
            if not ended:
                raise TimeoutError(f"{len(waiting.left)} of {len(wanted)} children have not ended in time")
            yield from ended


class _Wait:
    """A wait that goes on. The children are named once; once more to a worker that was started again."""

    def __init__(self, children: Iterable[Child], until: str) -> None:
        self.left = {child.id: child for child in children}
        self._until = until
        self._line: _Line | None = None
        self._named = False

    def more(self, timeout: float | None) -> list[Child]:
        """Those that have ended since; none when the time is over."""
        if not self.left:
            return []
        deadline = _deadline(timeout)
        ended = []
        for name, state in _patiently(lambda: self._ask(deadline))["ended"].items():
            ended.append(self.left.pop(name))
            ended[-1]._end = state
        return ended

    def close(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    def _ask(self, deadline: float | None) -> dict[str, Any]:
        goes_on = self._line is not None and self._line.is_ours
        if not goes_on:
            self.close()
            self._line = _Line()
        assert self._line is not None
        try:
            return self._line.ask(
                {
                    "do": "wait",
                    "until": self._until,
                    "timeout_s": _left(deadline),
                    "children": None if goes_on else list(self.left),
                }
            )
        except BaseException:
            self.close()
            raise


class _Busy(Exception):
    """To be asked again."""


class _Line:
    """A connection to the worker: one question, one answer."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._socket = _connected(_socket_path())
        self._answers = self._socket.makefile("rb")
        try:
            self.ask({"do": "hello", "version": 1})
        except BaseException:
            self.close()
            raise

    @property
    def is_ours(self) -> bool:
        """Not the parent's of a fork."""
        return self._process == os.getpid()

    def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Raises SubmitRefused, _Busy, and OSError when the worker has hung up."""
        data = _encoded(message)
        if len(data) > _MESSAGE_MAX:
            raise SubmitRefused(
                f"that are {len(data)} bytes, and at most {_MESSAGE_MAX} can be sent: pass a path or URL"
            )
        self._socket.sendall(data)
        line = self._answers.readline()
        if not line.endswith(b"\n"):
            raise ConnectionResetError("the worker has hung up")
        answer: dict[str, Any] = json.loads(line)
        if answer.get("ok"):
            return answer
        if answer.get("error") == "busy":
            raise _Busy(answer.get("words"))
        raise SubmitRefused(answer.get("words"))

    def close(self) -> None:
        self._answers.close()
        self._socket.close()


_MESSAGE_MAX = 1_310_720
"""Bytes that the worker takes at once."""
_lines: list[_Line] = []
"""Those that no thread uses now. Without a lock: a fork would inherit one that another thread holds."""
_PAUSES_S = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
_AWAY = (ConnectionError, FileNotFoundError, BlockingIOError, _Busy)
"""The worker is being started again, or has no time: it is asked until it answers."""


def _asked(message: dict[str, Any]) -> dict[str, Any]:
    """The answer, on a connection that no other thread uses meanwhile."""
    return _patiently(lambda: _ask_once(message))


def _ask_once(message: dict[str, Any]) -> dict[str, Any]:
    line = None
    with contextlib.suppress(IndexError):
        line = _lines.pop()
    if line is None or not line.is_ours:
        line = _Line()
    try:
        answer = line.ask(message)
    except SubmitRefused:
        _lines.append(line)
        raise
    except BaseException:
        line.close()
        raise
    _lines.append(line)
    return answer


def _patiently(ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What it returns, however often the worker has to be asked."""
    pauses = iter(_PAUSES_S)
    while True:
        try:
            return ask()
        except _AWAY:
            time.sleep(next(pauses, _PAUSES_S[-1]))


def _encoded(message: dict[str, Any]) -> bytes:
    try:
        return json.dumps(message, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:  # half a character, which the worker refuses in words
        return json.dumps(message).encode() + b"\n"


def _connected(path: str) -> socket.socket:
    import socket

    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # the kernel takes no path above 107 bytes
            made.connect(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
        finally:
            os.close(folder)
    except BaseException:
        made.close()
        raise
    return made


def _socket_path() -> str:
    """Raises NotUnderGyoza."""
    path = os.environ.get("GYOZA_SOCKET")
    if not path:
        raise NotUnderGyoza(why_no_socket())
    return path


def why_no_socket() -> str:
    """In words."""
    if os.environ.get("GYOZA_NO_SOCKET"):
        return os.environ["GYOZA_NO_SOCKET"]
    if os.environ.get("GYOZA_RUN_ID"):
        return "this run may not create runs: set may_submit in its definition, or submit it with --may-submit"
    return "there is no server: only a run of a gyoza worker can create runs"


def _nth(said: dict[str, Any]) -> int:
    """How many equal calls there were before, in whatever process of this attempt."""
    import fcntl
    import hashlib

    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest().encode() + b"\n"
    with open(os.path.join(os.path.dirname(_socket_path()), ".submitted"), "a+b") as calls:
        fcntl.flock(calls, fcntl.LOCK_EX)
        calls.seek(0)
        before = calls.read().count(digest)
        calls.write(digest)
    return before


def _failure(id: str, end: dict[str, Any]) -> RunFailed:  # noqa: A002
    kind = RunCancelled if end["state"] == "CANCELLED" else RunFailed
    return kind(id, end["state"], end.get("failure", ""))


def _deadline(timeout: float | None) -> float | None:
    return None if timeout is None or timeout > _FOREVER_S else time.monotonic() + timeout


def _left(deadline: float | None) -> float | None:
    return None if deadline is None else max(0.0, deadline - time.monotonic())


# The shell's form


def _main(arguments: list[str]) -> int:
    """`submit`, `wait`, `result`, `state` and `cancel`; exit 1 for a child that has not completed, 2 for a refusal."""
    parsed = _parser().parse_args(arguments)
    try:
        return int(parsed.act(parsed))
    except RunFailed as failed:
        print(failed, file=sys.stderr)
        return 1
    except (SubmitRefused, NotUnderGyoza, TimeoutError, _BadInputs) as fault:
        print(fault, file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    import argparse

    parser = argparse.ArgumentParser(
        prog="gyoza_op.py", description="Create runs from within a run, and wait for them."
    )
    acts = parser.add_subparsers(metavar="ACT", required=True)
    made = acts.add_parser("submit", help="create a run; prints its id, with --wait its outputs")
    made.add_argument("what", help="NAME@VERSION, NAME@ for the latest, or an image")
    made.add_argument("inputs", nargs="*", metavar="name=value", help="JSON where that reads as JSON, else text")
    made.add_argument("--wait", action="store_true", help="wait for its end")
    made.add_argument("--key", help="names the child: the same key is the same child")
    made.add_argument("--timeout", type=float, metavar="S", help="stop it after so many seconds")
    made.add_argument("--retry", type=int, metavar="N", help="try it again so often")
    made.add_argument("--detach", action="store_true", help="it goes on when this run is cancelled or fails")
    made.set_defaults(act=_act_submit)
    for name, act, words in (
        ("wait", _act_wait, "wait until all of them have ended"),
        ("result", _act_result, "wait for the end, and print the outputs as JSON"),
        ("state", _act_state, "print the state"),
        ("cancel", _act_cancel, "have it cancelled"),
    ):
        verb = acts.add_parser(name, help=words)
        verb.add_argument("ids", nargs="+", metavar="ID")
        verb.set_defaults(act=act)
    return parser


def _act_submit(given: argparse.Namespace) -> int:
    values = _of_pairs(given.inputs, {})
    child = submit(given.what, values, key=given.key, timeout_s=given.timeout, retry=given.retry, detach=given.detach)
    print(json.dumps(child.result()) if given.wait else child.id, flush=True)
    return 0


def _act_wait(given: argparse.Namespace) -> int:
    faults = [child.exception() for child in wait([Child(name) for name in given.ids]).done]
    for fault in filter(None, faults):
        print(fault, file=sys.stderr)
    return 1 if any(faults) else 0


def _act_result(given: argparse.Namespace) -> int:
    for name in given.ids:
        print(json.dumps(Child(name).result()), flush=True)
    return 0


def _act_state(given: argparse.Namespace) -> int:
    for name in given.ids:
        print(Child(name).state(), flush=True)
    return 0


def _act_cancel(given: argparse.Namespace) -> int:
    cancelled = [Child(name).cancel() for name in given.ids]
    return 0 if all(cancelled) else 1


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
