"""A training run: fits a line to noisy points by gradient descent; the loss that it prints is the one it computed."""

from __future__ import annotations

import json
import os
import random
import time

with open(os.environ["GYOZA_INPUT_JSON"]) as file:
    inputs = json.load(file)
epochs, rate, pause_s = inputs["epochs"], inputs["rate"], inputs["pause_s"]

noise = random.Random(inputs["seed"])
points = [(x / 100, 3 * x / 100 + 1 + noise.gauss(0, 0.1)) for x in range(100)]
slope = intercept = 0.0


def loss() -> float:
    return sum((slope * x + intercept - y) ** 2 for x, y in points) / len(points)


first = loss()
for epoch in range(1, epochs + 1):
    errors = [(slope * x + intercept - y, x) for x, y in points]
    slope -= rate * 2 * sum(error * x for error, x in errors) / len(points)
    intercept -= rate * 2 * sum(error for error, _ in errors) / len(points)
    print(f"epoch {epoch}/{epochs} loss={loss():.4f}", flush=True)
    print(json.dumps({"type": "PROGRESS", "msg": 100 * epoch / epochs, "payload": {"loss": loss()}}), flush=True)
    time.sleep(pause_s)

with open(os.environ["GYOZA_OUTPUT_JSON"], "w") as file:
    json.dump({"first_loss": first, "loss": loss(), "slope": slope, "intercept": intercept}, file)
