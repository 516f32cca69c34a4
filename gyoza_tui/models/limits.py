"""Every limit that server and worker share, once. Sizes are bytes of UTF-8 JSON unless the name says otherwise."""

from __future__ import annotations

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

INPUTS_MAX: Final = 1 * MIB
OUTPUTS_MAX: Final = 8 * MIB
EVENT_MAX: Final = 64 * KIB
EVENTS_PER_ATTEMPT_MAX: Final = 4 * MIB
LOG_TAIL_MAX: Final = 8 * KIB
REQUEST_MAX: Final = OUTPUTS_MAX + 1 * MIB
"""One request body: the outputs plus their envelope."""
REPLY_MAX: Final = 64 * MIB
JSON_DEPTH_MAX: Final = 64
JSON_BRACKETS_MAX: Final = 1_000_000
"""`[` and `{` in a request: a list takes 30 times as long to read as its two bytes."""

OUTPUT_FILE_MAX: Final = 16 * MIB
"""An op's output file, before it is decoded."""
CTX_LOGS_MAX: Final = 16 * MIB
"""`ExecutionContext.logs`; the whole log is in the spool file."""

CPU_MAX: Final = 4096
MEMORY_MB_MAX: Final = 64 * 1024 * 1024
GPU_ID_MAX: Final = 1023
PRIORITY_MAX: Final = 1_000_000
TIMEOUT_S_MAX: Final = 366 * 24 * 3600
TROUBLES_MAX: Final = 96
"""A beat lists at most so many backends and GPUs in trouble."""
TROUBLE_WORDS_MAX: Final = 500
FEATURES_MAX: Final = 64
ASKER_MAX: Final = 64
"""Characters of the name of who wants a worker to be in a state."""
RUNS_PER_CLAIM_MAX: Final = 64
RUNS_LISTED_MAX: Final = 4096
"""Runs that one beat or claim can list."""
NAME_MAX: Final = 128
FILTER_MAX: Final = 2000
"""Characters of a filter that a server takes."""
TAGS_MAX: Final = 64
COMMAND_ARGS_MAX: Final = 1024
AWAY_S_MAX: Final = 24 * 3600
CLAIM_WAIT_S_MAX: Final = 30
CHILDREN_MAX: Final = 10_000
"""Runs that one run may create."""
DESCENDANTS_MAX: Final = 100_000
"""Runs below one that has no parent."""
DEPTH_MAX: Final = 16
"""Generations below a run that has no parent."""
ENDED_IDS_MAX: Final = 1000
"""Runs, or parents, that one request for ends may name."""
ENDED_REPLY_MAX: Final = 1000
"""Ends in one answer."""
