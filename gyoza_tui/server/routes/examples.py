"""Real requests, shown in /docs; a test sends each of them."""

from __future__ import annotations

from typing import Any, Final

DEFINITION: Final[dict[str, Any]] = {
    "id": "classify-op",
    "version": "1.0.0",
    "image": "registry.local/classify:1.0.0",
    "input_specs": {
        "image_path": {"type": "string", "required": True},
        "top_k": {"type": "int", "required": False, "default": 3},
    },
    "constraints": {"cpu": 2, "ram_mb": 4096, "vram_mb": 8000},
    "retry_policy": {"max_attempts": 3, "backoff_s": 10},
    "event_delivery": {"topic": "classify-batch"},
}
DEFINITION_RUN: Final[dict[str, Any]] = {"inputs": {"image_path": "/data/photo.jpg"}, "priority": 5}
RUN: Final[dict[str, Any]] = {
    "image": "busybox:latest",
    "command": ["sh", "-c", "echo hello"],
    "inputs": {"n": 3},
    "priority": 5,
    "constraints": {"cpu": 1, "ram_mb": 256},
    "timeout_s": 3600,
}
ENDED: Final[dict[str, Any]] = {"ids": ["run_abc123"], "wait_s": 0}
EVENT: Final[dict[str, Any]] = {
    "type": "PROGRESS",
    "msg": 42,
    "worker_id": "gpu-box-1",
    "attempt": 1,
    "lease": "0f8b7c2e9a5d4c3b8f1e6d7a2b9c4e5f",
    "seq": 7,
}
EVENT_LIST: Final[list[dict[str, Any]]] = [EVENT, EVENT | {"type": "INFO", "msg": "epoch 3", "seq": 8}]
PATCHES: Final[dict[str, Any]] = {
    "cancel": {"value": {"state": "CANCELLED", "reason": "wrong input"}},
    "retry": {"value": {"state": "PENDING"}},
    "priority": {"value": {"priority": 10}},
    "hold": {"value": {"held": True, "by": "anna"}},
    "freeze": {"value": {"frozen": True, "by": "anna"}},
    "release": {"value": {"release": True, "by": "anna"}},
    "give back": {
        "value": {
            "state": "PENDING",
            "worker_id": "gpu-box-1",
            "attempt": 1,
            "lease": "0f8b7c2e9a5d4c3b8f1e6d7a2b9c4e5f",
            "reason": "not enough memory free",
        }
    },
}
BEAT: Final[dict[str, Any]] = {
    "worker_id": "gpu-box-1",
    "resources": {"cpu_cores": 16, "ram_mb": 65536, "gpus": [{"id": 0, "vram_mb": 24576, "tags": ["rtx4090"]}]},
    "tags": ["lab"],
    "running_ops": [],
    "instance_id": "5b0c1d7e-6b0e-4f55-9a51-2f7a9c2f0d11",
    "epoch": 1772481600,
    "free_slots": 4,
    "backends": ["docker"],
}
WANTED: Final[dict[str, Any]] = {"wanted": "paused", "by": "anna"}
CLAIM: Final[dict[str, Any]] = {
    "max": 4,
    "wait_s": 10,
    "instance_id": "5b0c1d7e-6b0e-4f55-9a51-2f7a9c2f0d11",
    "epoch": 1772481600,
    "have": [],
}
