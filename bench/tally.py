"""What was measured while earners worked: latencies, tasks, CPU."""

import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psutil


@dataclass
class Tally:
    """Counts what ends while `measuring`, in one round or in several; seconds."""

    lease: list[float] = field(default_factory=list)
    """Of each call; so `answer`."""
    answer: list[float] = field(default_factory=list)
    tasks: int = 0
    """Leased and answered."""
    refused: int = 0
    nothing: int = 0
    """Lease calls that found no work."""
    seconds: float = 0.0
    cpu: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    over: bool = True
    """Workers stop when it is."""
    _counts: bool = False

    @contextmanager
    def working(self) -> Iterator[None]:
        self.over = False
        try:
            yield
        finally:
            self.over = True

    @contextmanager
    def measuring(self, **roots: int) -> Iterator[None]:
        """Count the CPU time of processes and of their children, and ours alone as the client's.

        Args:
            roots: Process ids by name. Often they are children of ours.
        """
        processes = {name: psutil.Process(pid) for name, pid in roots.items()}
        before = {name: _seconds(root) for name, root in processes.items()}
        started, ours, self._counts = time.perf_counter(), time.process_time(), True
        try:
            yield
        finally:
            self._counts = False
            self.seconds += time.perf_counter() - started
            self.cpu["client"] += time.process_time() - ours
            for name, root in processes.items():
                self.cpu[name] += _seconds(root) - before[name]

    def add(self, began: float, leased: float, answered: float, tasks: int, refused: int) -> None:
        if self._counts:
            self.lease.append(leased - began)
            self.answer.append(answered - leased)
            self.tasks += tasks
            self.refused += refused

    def add_nothing(self) -> None:
        self.nothing += self._counts

    def summary(self) -> dict[str, Any]:
        return {
            "tasks": self.tasks,
            "tasks_per_second": round(self.tasks / self.seconds),
            "lease_ms": percentiles(self.lease),
            "answer_ms": percentiles(self.answer),
            "cpu_ms_per_task": {
                name: round(spent * 1000 / max(self.tasks, 1), 2)
                for name, spent in self.cpu.items()
            },
            "refused": self.refused,
            "calls_that_found_nothing": self.nothing,
        }


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    ordered = sorted(seconds) or [0.0]
    return {
        name: round(ordered[min(int(len(ordered) * share), len(ordered) - 1)] * 1000, 2)
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
    }


def _seconds(root: psutil.Process) -> float:
    """CPU time of a process and of all its children, the ended ones too."""
    total = 0.0
    for process in (root, *root.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total
