"""What is free on one GPU: the rules that the server gives runs by, and a worker checks them by."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(slots=True)
class GpuRoom:
    """One GPU, changed as runs are given to it. Memory is in MiB; None or 0 asked for is the whole GPU."""

    id: int
    vram_mb: int
    """What is offered: its memory without what is kept back."""
    foreign_mb: int = 0
    """Used by processes that belong to no run."""
    tags: frozenset[str] = frozenset()
    reserved_mb: int = 0
    runs: int = 0
    whole: bool = False
    """Whether a run has all of it."""

    @property
    def free_mb(self) -> int:
        return 0 if self.whole else max(0, self.vram_mb - self.foreign_mb - self.reserved_mb)

    def fits(self, vram_mb: int | None) -> bool:
        if vram_mb:
            return vram_mb <= self.free_mb
        return not self.runs and not self.foreign_mb

    def take(self, vram_mb: int | None) -> None:
        self.runs += 1
        self.reserved_mb += vram_mb or 0
        self.whole = self.whole or not vram_mb

    def give_back(self, vram_mb: int | None) -> None:
        """What `take` took."""
        self.runs -= 1
        self.reserved_mb -= vram_mb or 0
        self.whole = self.whole and bool(vram_mb)

    def without_runs(self) -> GpuRoom:
        """As if no run had any of it."""
        return GpuRoom(self.id, self.vram_mb, self.foreign_mb, self.tags)

    def without_others(self) -> GpuRoom:
        """As if no other process used it."""
        return replace(self, foreign_mb=0)

    @property
    def gib(self) -> int:
        """Its size, as GPUs are sold."""
        return round(self.vram_mb / 1024)

    def unfitness(self) -> tuple[int, int, int, int]:
        """The least is the best of those that fit: the smallest, of equal ones the least used."""
        return self.gib, self.runs, -self.free_mb, self.id
