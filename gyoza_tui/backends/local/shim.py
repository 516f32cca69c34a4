"""The shim: starts one op, outlives the worker, and records how the op ended.

Run as `python -I -S shim.py CONTROL REPORT_FD`, with nothing imported that costs start-up time: `_signal`, because
`signal` makes enums; `marshal`, because `json` brings `re`. The worker imports this file too, for what both must do in
the same way: tell processes apart and find those of an attempt.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]
import errno
import marshal
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

MARK = "GYOZA_MARK"
"""The variable by which every process of an attempt is known, whatever session it made for itself."""

LAUNCH = "launch"
"""What to start: a marshalled dict. Deleted once read: it holds the run's secrets."""
LAUNCH_KEYS = frozenset({"argv", "env", "cwd", "mark", "groups", "data_bytes", "oom_score_adj"})
STARTED = "started"
"""Who started it, `boot id, pid, start time`. Made whole, once; a second shim finds it and leaves."""
END = "end.json"
STREAMS = ("stdout", "stderr")
OK, TAKEN, FAILED = b"ok", b"taken", b"failed"
"""The shim's report to the worker that started it."""

FREEZERS = {"/freezer.state": ("FROZEN", "THAWED"), "/cgroup.freeze": ("1", "0")}
"""What is written to freeze a cgroup of version 1 and 2, and to let it go on."""

_LAUNCH_BYTES = 64 * 1024 * 1024
_PR_SET_CHILD_SUBREAPER = 36
_END_BYTES = 4096
_KILL_PAUSE_S = 0.005


def write_file(path: str, data: bytes) -> None:
    """Write a new file, which is on the disk when this returns; its name is once its directory is synced too."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        while data:
            data = data[os.write(fd, data) :]
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_file(path: str) -> None:
    """Put a file, or the names in a directory, on the disk."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def boot_id() -> str:
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def stat_of(pid: int) -> list[bytes] | None:
    """The fields of /proc/PID/stat from the state on; None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return None


def alive_since(pid: int) -> int | None:
    """The start time, in ticks since boot, of a process that runs; None for a zombie and for none."""
    fields = stat_of(pid)
    return int(fields[19]) if fields and fields[0] not in b"ZX" else None


def go_on(pid: int) -> None:
    """Continue a process that was stopped by a signal."""
    fields = stat_of(pid)
    if fields and fields[0] == b"T":
        send({pid: int(fields[19])}, _signal.SIGCONT)


def shim_of(control: str) -> int:
    """The pid of the shim of that control directory, by its arguments; 0 when none runs."""
    for name in os.listdir("/proc"):
        if name.isdigit() and alive_since(int(name)) is not None:
            try:
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    arguments = file.read().split(b"\0")
            except OSError:
                continue
            if arguments[1:3] == [b"-I", b"-S"] and arguments[4:5] == [os.fsencode(control)]:
                return int(name)
    return 0


def processes_of(mark: str, root: int, groups: list[str]) -> dict[int, int]:
    """The processes of an attempt, by pid, with their start times; each behind whatever it descends from.

    Those below the process `root` (which is not one of them; 0: none), those that carry the mark (empty: unknown),
    those in the cgroups, and whatever shares a session with one of these or descends from it.
    """
    wanted = f"{MARK}={mark}".encode()
    found: set[int] = set()
    starts: dict[int, int] = {}
    parents: dict[int, int] = {}
    sessions: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        pid = int(name)
        fields = stat_of(pid)
        if fields is None or fields[0] in b"ZX":
            continue
        starts[pid], parents[pid], sessions[pid] = int(fields[19]), int(fields[1]), int(fields[3])
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                if mark and wanted in file.read().split(b"\0"):
                    found.add(pid)
        except OSError:
            continue
    for group in groups:
        found.update(pid for pid in in_group(group) if pid in starts)
    kept = {root, os.getpid()}
    found -= kept
    heads = {root} if root else set()
    while True:
        shared = {sessions[pid] for pid in found}
        more = {pid for pid in starts if parents[pid] in found | heads or sessions[pid] in shared} - found - kept
        if not more:
            return {pid: starts[pid] for pid in sorted(found, key=lambda pid: (starts[pid], pid))}
        found |= more


def in_group(group: str) -> list[int]:
    try:
        with open(group + "/cgroup.procs") as file:
            return [int(line) for line in file]
    except OSError:
        return []


def send(processes: dict[int, int], number: int) -> None:
    """Signal processes that still are who they were: a pid may have become another's meanwhile.

    In the order given: a shell whose child were told first would see it end, and leave before its own trap is called.
    """
    for pid, start in processes.items():
        try:
            fd = os.pidfd_open(pid)
        except OSError:
            continue
        try:
            if alive_since(pid) == start:
                _signal.pidfd_send_signal(fd, number)
        except OSError:
            continue
        finally:
            os.close(fd)


def kill_all(mark: str, root: Callable[[], int], groups: list[str], deadline_s: float) -> bool:
    """SIGKILL to every process of the attempt until none is left; False when some still are after `deadline_s`."""
    deadline = time.monotonic() + deadline_s
    for group in groups:
        # A fork bomb outruns any number of single signals; without new processes it is finite.
        _write(group + "/pids.max", "0")
        _write(group + "/cgroup.kill", "1")
    while True:
        thaw_groups(groups)  # a frozen one of version 1 cannot be killed
        processes = processes_of(mark, root(), groups)
        if not processes:
            return True
        if time.monotonic() > deadline:
            return False
        send(processes, _signal.SIGKILL)
        time.sleep(_KILL_PAUSE_S)


def freeze_groups(groups: list[str]) -> None:
    for group in groups:
        for name, (frozen, _) in FREEZERS.items():
            _write(group + name, frozen)


def thaw_groups(groups: list[str]) -> None:
    for group in groups:
        for name, (_, thawed) in FREEZERS.items():
            _write(group + name, thawed)


def _write(path: str, text: str) -> bool:
    try:
        fd = os.open(path, os.O_WRONLY)
    except OSError:
        return False
    try:
        os.write(fd, text.encode())
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def _reap() -> bool:
    """Collect what has ended of our children; False when we have none at all."""
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return True
        except ChildProcessError:
            return False


def oom_kills(groups: list[str]) -> int:
    """Processes of these cgroups that the kernel killed for memory."""
    for group in groups:
        for name in ("/memory.events", "/memory.oom_control"):
            try:
                with open(group + name) as file:
                    for line in file:
                        if line.startswith("oom_kill "):
                            return int(line.split()[1])
            except OSError:
                continue
    return 0


def _claim(control: str) -> bool:
    """Be the one shim of this attempt: `started` appears whole, or was there."""
    mine = f"{control}/{STARTED}.{os.getpid()}"
    write_file(mine, f"{boot_id()} {os.getpid()} {alive_since(os.getpid())}\n".encode())
    try:
        os.link(mine, f"{control}/{STARTED}")
    except FileExistsError:
        return False
    finally:
        os.unlink(mine)
    sync_file(control)
    return True


def _read_file(path: str, limit: int) -> bytes:
    """A regular file of at most `limit` bytes. OSError for anything else."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if os.fstat(fd).st_mode & 0o170000 != 0o100000:
            raise OSError(errno.EINVAL, "it is not a regular file")
        data = os.read(fd, limit + 1)
    finally:
        os.close(fd)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"it has more than {limit} bytes")
    return data


def _read_launch(control: str) -> dict[str, Any]:
    """What to start, deleted once read. Raises OSError, and whatever marshal does of a damaged file."""
    launch = marshal.loads(_read_file(f"{control}/{LAUNCH}", _LAUNCH_BYTES))
    if not isinstance(launch, dict) or not launch.keys() >= LAUNCH_KEYS:
        raise ValueError("it is not what was written there")
    os.unlink(f"{control}/{LAUNCH}")
    return launch


def _reserve_end(control: str) -> int:
    """Room on the disk for the end, taken while there is some: a full disk must not cost the op its result."""
    fd = os.open(f"{control}/{END}.tmp", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(fd, b" " * _END_BYTES)
    return fd


def _record_end(control: str, fd: int, end: dict[str, Any]) -> None:
    text = "{" + ", ".join(f'"{key}": {_json(value)}' for key, value in end.items()) + "}"
    os.pwrite(fd, text.encode().ljust(_END_BYTES), 0)
    os.fsync(fd)
    os.rename(f"{control}/{END}.tmp", f"{control}/{END}")
    sync_file(control)


def _json(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else "?" for c in str(value))
    return f'"{plain[:1000]}"'


def _become_subreaper() -> None:
    """Inherit the op's orphans, so that none of its descendants is ever lost from sight."""
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class _Unlimited(Exception):
    """The owner's limits could not be set: the machine's fault, not the op's."""


def _limit(launch: dict[str, Any]) -> None:
    try:
        for group in launch["groups"]:
            with open(group + "/cgroup.procs", "w") as file:
                file.write("0")
        if launch["data_bytes"]:
            import resource

            resource.setrlimit(resource.RLIMIT_DATA, (launch["data_bytes"], launch["data_bytes"]))
    except OSError as error:
        raise _Unlimited(f"the op's limits could not be set: {error}") from None
    _write("/proc/self/oom_score_adj", str(launch["oom_score_adj"]))


def _exec(control: str, launch: dict[str, Any]) -> None:
    """In the child: become the op. Returns only by an exception."""
    os.setsid()
    # what the shell ignored that started the worker, as for `gyoza-tui &`, is no concern of the op
    for number in _signal.valid_signals() - {_signal.SIGKILL, _signal.SIGSTOP}:
        _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
    _limit(launch)
    os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
    for number, name in enumerate(STREAMS, 1):
        os.dup2(os.open(f"{control}/{name}", os.O_WRONLY | os.O_APPEND), number)
    cwd, argv = launch["cwd"], launch["argv"]
    try:
        os.chdir(cwd)
    except OSError as error:
        raise OSError(f"its directory {cwd}: {error.strerror}") from None
    try:
        os.execvpe(argv[0], argv, launch["env"])
    except OSError as error:
        raise OSError(f"{argv[0]}: {error.strerror}") from None


def _spawn(control: str, launch: dict[str, Any]) -> tuple[int, str, str]:
    """Start the op: its pid, why its command cannot be run, and why the machine could not run it."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            _exec(control, launch)
        except _Unlimited as error:
            os.write(writer, b"M" + str(error).encode(errors="replace")[:500])
        except BaseException as error:
            os.write(writer, b"O" + str(error).encode(errors="replace")[:500])
        os._exit(127)
    os.close(writer)
    words = os.read(reader, 1000).decode(errors="replace")
    os.close(reader)
    return pid, words[1:] if words[:1] == "O" else "", words[1:] if words[:1] == "M" else ""


_NOT_RUN: dict[str, Any] = {"code": None, "signal": None, "oom": False, "warning": None, "not_executable": None}


def _end_of(status: int, kills: int) -> dict[str, Any]:
    signal = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
    code = 128 + signal if signal else os.WEXITSTATUS(status)
    oom = kills > 0 and code == 128 + _signal.SIGKILL
    warning = None
    if kills and not oom:
        warning = f"{kills} process(es) of the op were killed for memory; the op itself went on and ended with {code}"
    return {**_NOT_RUN, "machine_fault": None, "code": code, "signal": signal, "oom": oom, "warning": warning}


def _report(fd: int, words: bytes) -> None:
    try:
        os.write(fd, words)
    except OSError:
        return  # the worker that asked is gone; the next one reads it from the files
    finally:
        os.close(fd)


def main(control: str, report: int) -> None:
    os.set_inheritable(report, False)
    # The worker made the session. What it is sent as a group, or the machine's shutdown sends, is the op's to obey.
    for number in (_signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP):
        _signal.signal(number, _signal.SIG_IGN)
    if not _claim(control):
        _report(report, TAKEN)
        return
    end_fd = _reserve_end(control)
    try:
        launch = _read_launch(control)
    except Exception as error:
        _report(report, FAILED)
        damage = f"the file {LAUNCH} of its control directory is damaged: {error}"
        _record_end(control, end_fd, {**_NOT_RUN, "machine_fault": damage, "started_at": None, "finished_at": None})
        return
    _become_subreaper()
    started_at = time.time()
    pid, bad_command, bad_machine = _spawn(control, launch)
    _report(report, FAILED if bad_command or bad_machine else OK)
    status = os.waitpid(pid, 0)[1]
    finished_at = time.time()
    if _reap():
        # As a container would: what the op left running ends with it.
        kill_all(launch["mark"], os.getpid, launch["groups"], 30.0)
        _reap()
    end = _end_of(status, oom_kills(launch["groups"]))
    if bad_command or bad_machine:
        end = {**_NOT_RUN, "not_executable": bad_command or None, "machine_fault": bad_machine or None}
    _record_end(control, end_fd, {**end, "started_at": started_at, "finished_at": finished_at})
    for group in launch["groups"]:
        _remove_group(group)


def _remove_group(group: str) -> None:
    try:
        os.rmdir(group)
    except OSError:
        return  # the backend tries again when it removes the attempt


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
