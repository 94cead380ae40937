"""Recorded drawings once more, as if they arrived live under some policy: pure.

As `replay` for choices: task by task some are asked for, in the order in which they were recorded,
until what they come to is sure enough; whoever misses too much gold gets no more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tessera.kinds import Answer, Label, Objects, Opinion, Outcome, Question
from tessera.quality.drawn import added, skill_of
from tessera.quality.gate import Gate, Stopped
from tessera.quality.replay import Policy

_LEAST, _MOST = 0.01, 0.99


@dataclass(frozen=True)
class Drawings:
    """A task, and who drew what, in the order in which it came."""

    question: Question
    answers: Sequence[tuple[str, Answer]]
    gold: Label | None = None


@dataclass(frozen=True)
class ReplayedDrawings:
    outcomes: Sequence[Outcome | None]
    """By task; None where nobody was asked who was not stopped."""
    asked: Sequence[int]
    """By task, how many answers."""
    stopped: Mapping[str, Stopped]


def replay_drawings(
    kind: Objects,
    tasks: Sequence[Drawings],
    policy: Policy,
    *,
    skilled: bool = True,
) -> ReplayedDrawings:
    """Ask until all is settled, or nothing is left to ask.

    Args:
        skilled: Whether what earners miss, draw in vain, and how exactly they draw is learnt;
            else trust says it all.
    """
    going = _Going(kind, tasks, policy, skilled=skilled)
    while wanted := going.wanted():
        for number, count in wanted:
            going.ask(number, count)
        if skilled:
            going.estimate()
        for number, _ in wanted:
            going.decide(number)
    if skilled:
        going.estimate()
    outcomes = [going.outcome(number) for number in range(len(tasks))]
    return ReplayedDrawings(outcomes, going.asked, going.gate.stopped)


class _Going:
    def __init__(
        self, kind: Objects, tasks: Sequence[Drawings], policy: Policy, *, skilled: bool
    ) -> None:
        self._kind, self._tasks, self._policy, self._skilled = kind, tasks, policy, skilled
        self._next = [0] * len(tasks)
        self._heard: list[list[tuple[str, Answer]]] = [[] for _ in tasks]
        self._open = set(range(len(tasks)))
        self.gate = Gate[str](policy.minimum_trust, is_lowered=policy.is_lowered)
        self._counts: dict[str, list[float]] = {}
        self._others: dict[str, list[float]] = {}
        self.asked = [0] * len(tasks)

    def wanted(self) -> list[tuple[int, int]]:
        """Tasks to ask about now, and of how many people."""
        least = self._policy.stopping.min_overlap
        return [
            (number, max(least - len(self._of(number)), 1))
            for number in sorted(self._open)
            if self._next[number] < len(self._tasks[number].answers)
        ]

    def ask(self, number: int, count: int) -> None:
        task = self._tasks[number]
        while count and self._next[number] < len(task.answers):
            earner, answer = task.answers[self._next[number]]
            self._next[number] += 1
            if earner in self.gate.stopped:
                continue
            count -= 1
            self.asked[number] += 1
            self._heard[number].append((earner, answer))
            if task.gold is not None:
                self._learn(earner, answer, task.gold, task.question)

    def _learn(self, earner: str, answer: Answer, gold: Label, question: Question) -> None:
        tally = self._kind.tally(answer, gold, question)
        self._counts[earner] = added(self._counts.get(earner), tally)
        if self.gate.score(earner, self._kind.score(answer, gold, question)):
            for number, heard in enumerate(self._heard):
                if any(each == earner for each, _ in heard):  # it may not be settled without them
                    self._open.add(number)
                    self.decide(number)

    def estimate(self) -> None:
        """Learn from what people drew beside each other, anew, of all tasks that are closed."""
        told: dict[str, list[float]] = {}
        for number, task in enumerate(self._tasks):
            if number in self._open or task.gold is not None:
                continue
            if opinions := self._opinions(number):
                tallies = self._kind.tallies(opinions, task.question)
                for each, tally in zip(opinions, tallies, strict=True):
                    told[each.earner] = added(told.get(each.earner), tally)
        self._others = told

    def decide(self, number: int) -> None:
        """Close a task that is settled, or has all the answers it may have."""
        stopping = self._policy.stopping
        heard = len(self._of(number))
        full = stopping.max_overlap is not None and heard >= stopping.max_overlap
        outcome = self.outcome(number) if heard >= stopping.min_overlap else None
        if full or (outcome is not None and outcome.decided):
            self._open.discard(number)

    def outcome(self, number: int) -> Outcome | None:
        """What the answers so far come to, by what is known of everybody now."""
        opinions = self._opinions(number)
        if not opinions:
            return None
        return self._kind.aggregate(
            opinions,
            self._tasks[number].question,
            target_confidence=self._policy.stopping.target_confidence,
        )

    def _of(self, number: int) -> list[tuple[str, Answer]]:
        return [each for each in self._heard[number] if each[0] not in self.gate.stopped]

    def _opinions(self, number: int) -> list[Opinion]:
        return [self._opinion(earner, answer) for earner, answer in self._of(number)]

    def _opinion(self, earner: str, answer: Answer) -> Opinion:
        mean = min(max(self.gate.trust(earner).mean, _LEAST), _MOST)
        counts, others = self._counts.get(earner), self._others.get(earner)
        skill = skill_of(counts, mean, others) if self._skilled else None
        return Opinion(earner, answer, mean, skill)
