"""A scrape of metrics, as Prometheus' own parser reads it."""

from __future__ import annotations

from typing import Self

import httpx
from prometheus_client.parser import text_string_to_metric_families


class Scrape:
    def __init__(self, text: str) -> None:
        self.text = text
        self._values = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    @classmethod
    def of(cls, url: str) -> Self:
        answer = httpx.get(url)
        assert answer.status_code == 200, answer.text
        return cls(answer.text)

    def get(self, name: str, **labels: str) -> float | None:
        return self._values.get((name, frozenset(labels.items())))

    def one(self, name: str, **labels: str) -> float:
        value = self.get(name, **labels)
        assert value is not None, f"no {name} {labels} in:\n{self.text}"
        return value

    def labels(self, name: str) -> list[dict[str, str]]:
        """Of all series of that name."""
        return [dict(labels) for found, labels in self._values if found == name]
