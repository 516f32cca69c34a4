"""What this machine has, by the reference's names and shapes."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class GPU:
    """As the reference's."""

    id: int
    vram_mb: int
    tags: list[str] = field(default_factory=list)


@dataclass
class Resources:
    """As the reference's."""

    cpu_cores: int = 0
    ram_mb: int = 0
    gpus: list[GPU] = field(default_factory=list)
