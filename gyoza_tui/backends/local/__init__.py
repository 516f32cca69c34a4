"""`local://name`: a command of this machine that the worker's owner listed under that name.

Only a parent can learn how a process ended, so between the worker and the op stands a shim that outlives the worker.
What is known of an attempt lies in its control directory (`control.py`), apart from the op's own directory.
"""

from __future__ import annotations
