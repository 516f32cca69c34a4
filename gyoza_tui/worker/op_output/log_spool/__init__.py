"""An op's output, kept on disk: written by the worker, read by it, by views and by other processes.

A spool is a directory of segments. Segment 0 holds the head, up to half of the cap; the segments behind it hold the
tail and the oldest of them is deleted when the other half is full. A segment is a file of bytes as they came
(`00000000.log`) and an index of fixed-size records (`00000000.idx`), one per run of bytes of one stream. Every record
carries absolute offsets and line numbers, so what was cut is simply what lies between two segments, and every look-up
is a binary search on disk: a spool needs no memory for its lines.
"""

from __future__ import annotations

from gyoza_tui.worker.op_output.log_spool.lines import Cut, LogLine
from gyoza_tui.worker.op_output.log_spool.reader import SpoolReader
from gyoza_tui.worker.op_output.log_spool.spool import LogSpool

__all__ = ["Cut", "LogLine", "LogSpool", "SpoolReader"]
