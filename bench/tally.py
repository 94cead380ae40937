"""What was measured while earners worked: latencies, tasks, CPU."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import psutil


@dataclass
class Tally:
    """Counts only what ends between `start` and `end`, in seconds of `time.perf_counter`."""

    start: float
    end: float
    lease: list[float] = field(default_factory=list)
    """Seconds of each call; so `answer`."""
    answer: list[float] = field(default_factory=list)
    tasks: int = 0
    """Leased and answered."""
    refused: int = 0
    nothing: int = 0
    """Lease calls that found no work."""

    @property
    def over(self) -> bool:
        return time.perf_counter() >= self.end

    def add(self, began: float, leased: float, answered: float, tasks: int, refused: int) -> None:
        if self.start <= answered <= self.end:
            self.lease.append(leased - began)
            self.answer.append(answered - leased)
            self.tasks += tasks
            self.refused += refused

    def add_nothing(self) -> None:
        self.nothing += self.start <= time.perf_counter() <= self.end

    def summary(self) -> dict[str, Any]:
        return {
            "tasks": self.tasks,
            "tasks_per_second": round(self.tasks / (self.end - self.start)),
            "lease_ms": percentiles(self.lease),
            "answer_ms": percentiles(self.answer),
            "refused": self.refused,
            "calls_that_found_nothing": self.nothing,
        }


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    ordered = sorted(seconds) or [0.0]
    return {
        name: round(ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000, 2)
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
    }


class Cpu:
    """CPU time of processes and all their children, the ended ones too."""

    def __init__(self, **roots: int) -> None:
        self._roots = {name: psutil.Process(pid) for name, pid in roots.items()}
        self._before = self._now()

    def per_task(self, tasks: int) -> dict[str, float]:
        """Milliseconds since the start, by name, for each task."""
        now = self._now()
        spent = {name: now[name] - before for name, before in self._before.items()}
        return {name: round(s * 1000 / max(tasks, 1), 2) for name, s in spent.items()}

    def _now(self) -> dict[str, float]:
        return {name: sum(map(_seconds, _family(root))) for name, root in self._roots.items()}


def _family(root: psutil.Process) -> list[psutil.Process]:
    return [root, *root.children(recursive=True)]


def _seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return times.user + times.system + times.children_user + times.children_system
