"""A chatty op: many lines on both streams, and an INFO event now and then."""

from __future__ import annotations

import json
import os
import sys
import time

with open(os.environ["GYOZA_INPUT_JSON"]) as file:
    inputs = json.load(file)

for number in range(1, inputs["lines"] + 1):
    stream = sys.stderr if number % 10 == 0 else sys.stdout
    print(f"line {number}: \x1b[3{number % 6 + 1}mthe quick brown fox jumps over the lazy dog\x1b[0m", file=stream)
    if number % 500 == 0:
        print(json.dumps({"type": "INFO", "msg": f"{number} lines so far"}), flush=True)
        time.sleep(inputs["pause_s"])

with open(os.environ["GYOZA_OUTPUT_JSON"], "w") as file:
    json.dump({"lines": inputs["lines"]}, file)
