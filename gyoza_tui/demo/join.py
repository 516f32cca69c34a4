"""Two inputs, two outputs."""

from __future__ import annotations

import json
import os

with open(os.environ["GYOZA_INPUT_JSON"]) as file:
    inputs = json.load(file)

words = [f"{inputs['prefix']}-{name}" for name in inputs["names"]]
print(f"joining {len(words)} names", flush=True)
with open(os.environ["GYOZA_OUTPUT_JSON"], "w") as file:
    json.dump({"joined": ", ".join(words), "count": len(words)}, file)
