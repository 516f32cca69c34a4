"""The owner's list of local ops: a TOML file, read strictly, with all its faults told at once."""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from gyoza_tui.models.identity import check_env_name
from gyoza_tui.models.images import ImageRef
from gyoza_tui.models.limits import MIB
from gyoza_tui.models.nested import MaySubmit
from gyoza_tui.models.values import why_unreadable

_TOKEN: Final = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_VAR: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
OURS: Final = frozenset({"run_dir", "gpu", "worker_id"})
"""What a template may name besides the op's own vars."""
_KEYS: Final = frozenset({"command", "env", "cwd", "vars", "may_submit"})
_FILE_MAX: Final = MIB


class LocalOpsError(ValueError):
    """The list cannot be used; `faults` names every fault with its place."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class LocalOp:
    """A command of the owner. Its texts are templates; `render` fills them in."""

    name: str
    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    cwd: str | None = None
    """None: the run's directory."""
    vars: Mapping[str, str] = field(default_factory=dict)
    may_submit: MaySubmit = MaySubmit.DEFINITIONS
    """The most that its runs may create."""

    def render(self, template: str, values: Mapping[str, str]) -> str:
        """The template with the op's vars and `values` (of `OURS`) filled in."""
        known = {**self.vars, **values}

        def fill(match: re.Match[str]) -> str:
            return known[match[1]] if match[1] is not None else match[0][0]

        return _TOKEN.sub(fill, template)

    @property
    def digest(self) -> str:
        """Tells one version of the owner's entry from another."""
        entry = [self.command, dict(self.env), self.cwd, dict(self.vars)]
        return "sha256:" + hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()


def read_ops(path: Path) -> dict[str, LocalOp]:
    """The ops of the file by name. Raises LocalOpsError."""
    try:
        raw = path.read_bytes()
        if len(raw) > _FILE_MAX:
            raise LocalOpsError([f"{path}: larger than {_FILE_MAX} bytes: not a list of ops"])
        text = raw.decode()
        parsed = tomllib.loads(text)
    except OSError as error:
        raise LocalOpsError([f"{path}: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        raise LocalOpsError([f"{path}: byte {error.start} is not UTF-8"]) from None
    except (ValueError, RecursionError) as error:
        raise LocalOpsError([f"{path}: {why_unreadable(error)}"]) from None
    return _Reading(path, text).ops(parsed)


class _Reading:
    """One reading of one file: collects faults."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._lines = text.splitlines()
        self._faults: list[str] = []

    def ops(self, parsed: dict[str, Any]) -> dict[str, LocalOp]:
        for key in parsed.keys() - {"ops"}:
            self._fault(f"{_shown(key)} is not known here: write [ops.NAME]", key)
        table = parsed.get("ops", {})
        ops: dict[str, LocalOp] = {}
        if not isinstance(table, dict):
            self._fault("ops must be a table: write [ops.NAME]", "ops")
        else:
            for name, entry in table.items():
                ops[name] = self._op(name, entry)
        if self._faults:
            raise LocalOpsError(self._faults)
        return ops

    def _op(self, name: str, entry: Any) -> LocalOp:
        where = f"ops.{name}"
        try:
            ImageRef.parse(f"local://{name}")
        except ValueError:
            self._fault(f"{_shown(name)} cannot name an op: letters, digits, '.', '_', '-' and '/'", where)
        if not isinstance(entry, dict):
            self._fault(f"{where} must be a table", where)
            return LocalOp(name, ())
        for key in sorted(entry.keys() - _KEYS):
            self._fault(f"{where}: {_shown(key)} is not known; an op has {', '.join(sorted(_KEYS))}", where, key)
        op = LocalOp(
            name=name,
            command=self._command(where, entry.get("command")),
            env=self._texts(where, "env", entry.get("env", {})),
            cwd=self._cwd(where, entry.get("cwd")),
            vars=self._texts(where, "vars", entry.get("vars", {})),
            may_submit=self._may_submit(where, entry.get("may_submit", MaySubmit.DEFINITIONS)),
        )
        self._check_names(where, op)
        self._check_templates(where, op)
        return op

    def _command(self, where: str, value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not value or not all(isinstance(arg, str) for arg in value):
            self._fault(
                f'{where}: command must be a list of texts, the program first: ["prog", "arg"]', where, "command"
            )
            return ()
        if not value[0].strip():
            self._fault(f"{where}: command begins with an empty text: name a program", where, "command")
        return tuple(value)

    def _cwd(self, where: str, value: Any) -> str | None:
        if value is None or (isinstance(value, str) and value.startswith(("/", "{"))):
            return value
        self._fault(f"{where}: cwd must be an absolute path", where, "cwd")
        return None

    def _may_submit(self, where: str, value: Any) -> MaySubmit:
        if value in list(MaySubmit):
            return MaySubmit(value)
        self._fault(f"{where}: may_submit must be {', '.join(MaySubmit)}", where, "may_submit")
        return MaySubmit.NO

    def _texts(self, where: str, key: str, value: Any) -> dict[str, str]:
        if not isinstance(value, dict):
            self._fault(f"{where}: {key} must be a table of texts", where, key)
            return {}
        for name, text in value.items():
            if not isinstance(text, str):
                self._fault(f"{where}: {key}.{name} must be text, not {type(text).__name__}: quote it", where, name)
        return {name: text for name, text in value.items() if isinstance(text, str)}

    def _check_names(self, where: str, op: LocalOp) -> None:
        for name in op.env:
            try:
                check_env_name(name)
            except ValueError as error:
                self._fault(f"{where}: env: {error}", where, name)
        for name in op.vars:
            if not _VAR.fullmatch(name):
                self._fault(f"{where}: vars: {_shown(name)} cannot name a var: letters, digits, '_'", where, name)
            elif name in OURS:
                self._fault(f"{where}: vars: {name} is ours; choose another name", where, name)

    def _check_templates(self, where: str, op: LocalOp) -> None:
        texts = [("command", arg) for arg in op.command] + [(f"env.{k}", v) for k, v in op.env.items()]
        for key, text in [*texts, ("cwd", op.cwd or "")]:
            if "\x00" in text:
                self._fault(f"{where}: {key} holds a NUL character", where, key)
            for match in _TOKEN.finditer(text):
                if match[0] in ("{", "}"):
                    self._fault(f"{where}: {key}: a single {match[0]}: write {match[0] * 2} for a brace", where, key)
                elif match[1] is not None and match[1] not in OURS and match[1] not in op.vars:
                    known = ", ".join(sorted(OURS | op.vars.keys()))
                    self._fault(f"{where}: {key}: {{{match[1]}}} is not known; there is {known}", where, key)

    def _fault(self, words: str, *near: str) -> None:
        self._faults.append(f"{self._place(near)}: {words}")

    def _place(self, near: tuple[str, ...]) -> str:
        """`file:line` of the table or key, as far as a search for its name can tell."""
        line = self._line_of(rf"^\s*\[?\s*{re.escape(near[0])}\s*[\]=.]", 0)
        for key in near[1:]:
            last = re.escape(key.rpartition(".")[2])
            line = self._line_of(rf"""(^|[\s{{,.\["']){last}["']?\s*[\]=.]""", max(0, (line or 1) - 1)) or line
        return f"{self._path}:{line}" if line else str(self._path)

    def _line_of(self, pattern: str, after: int) -> int | None:
        for number, text in enumerate(self._lines[after:], after + 1):
            if re.search(pattern, text):
                return number
        return None


def _shown(name: str) -> str:
    return ascii(name)[:80]
