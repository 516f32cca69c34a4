"""An op that fails and says why: the last lines of its log are what a person sees first."""

from __future__ import annotations

import sys

print("reading the checkpoint", flush=True)
print("the checkpoint was written by version 7, this is version 6: convert it first", file=sys.stderr)
sys.exit(3)
