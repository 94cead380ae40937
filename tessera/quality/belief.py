"""What a project's crowd is known to confuse, and what a few answers come to by that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.assignment import queue
from tessera.kinds import Label, Opinion, Outcome, Question, parsed
from tessera.kinds.choice import Choice, choice_of
from tessera.kinds.opinions import each_once
from tessera.projects.models import Project
from tessera.quality.models import EstimateRecord
from tessera.truth import strengths
from tessera.truth.calibration import Calibration
from tessera.truth.confusion import PERSONAL, Crowd, as_often, believe, while_asked
from tessera.truth.votes import Floats, Votes


@dataclass(frozen=True)
class Earner:
    gold: int
    """Answered."""
    counts: Sequence[float] | None
    """See `TrustRecord`; so for others."""
    others: Sequence[float] | None = None


NEW = Earner(0, None)


@dataclass(frozen=True)
class Belief:
    choice: Choice
    choices: Sequence[int]
    prior: Floats
    common: Floats
    calibration: Calibration
    by_coins: bool
    """Whether of each earner only one number is known, as choices and earners are so many."""

    def decide(
        self,
        opinions: Sequence[Opinion],
        known_of: Mapping[str, Earner],
        question: Question,
        *,
        target_confidence: float,
        asked: bool = True,
    ) -> Outcome:
        """The label that opinions come to; it is decided if independent people were so sure.

        Its confidence is how probably it is right, as far as gold tells.

        Args:
            known_of: By earner, as opinions name them.
            asked: Whether the task is still asked about; see `while_asked`.

        Raises:
            ValueError: No opinions, or two by one earner.
        """
        ordered = each_once(opinions)
        log_posterior = self._posterior(ordered, known_of, asked=asked)
        probable = self.calibration.apply(log_posterior)[0].tolist()
        by_choice = dict(zip(self.choices, probable, strict=True))
        label = self.choice.label_of(by_choice, ordered, question)
        chosen = self.choices.index(self.choice.choice(label))  # not always the most probable
        sure = float(np.exp(log_posterior[0, chosen]))
        return Outcome(label, label["confidence"], sure >= target_confidence)

    def hard(self, opinions: Sequence[Opinion], known_of: Mapping[str, Earner]) -> queue.Hard:
        """What it takes to tell what opinions do not agree on, and what one more would tell.

        Raises:
            ValueError: No opinions, or two by one earner.
        """
        posterior = np.exp(self._posterior(each_once(opinions), known_of, asked=True)[0])
        told = strengths.gain(posterior, self.common)
        if self.by_coins:
            return queue.Hard([strengths.EVERYTHING], told)
        return queue.Hard([self.choices[each] for each in strengths.rivals(posterior)], told)

    def strengths(self, counts: Floats) -> list[list[int]]:
        """Choices that earners are strong in, of each; see `Standing.strengths`.

        Args:
            counts: Shape (n_earners, 2 or K * K); see `TrustRecord`.
        """
        if self.by_coins:
            alike = strengths.strong(counts[:, 0], counts[:, 1], self.common[0, 0])
            return [[strengths.EVERYTHING] if each else [] for each in alike]
        classes = len(self.choices)
        told = strengths.strong_choices(counts.reshape(-1, classes, classes), self.common)
        return [[self.choices[which] for which in np.flatnonzero(each).tolist()] for each in told]

    def counted(self, counts: Sequence[float] | None, truth: Label, answer: Label) -> list[float]:
        """An earner's counts with one more answer to something known; see `TrustRecord`."""
        is_, said = (self.choices.index(self.choice.choice(each)) for each in (truth, answer))
        more = self.fitting(counts) or [0.0] * self._size
        if self.by_coins:
            more[0] += is_ == said
            more[1] += 1
        else:
            more[is_ * len(self.choices) + said] += 1
        return more

    def fitting(self, counts: Sequence[float] | None) -> list[float] | None:
        """Counts, unless they are from before there were so many earners, or from after."""
        return list(counts) if counts is not None and len(counts) == self._size else None

    @property
    def _size(self) -> int:
        return 2 if self.by_coins else len(self.choices) ** 2

    def _posterior(
        self, ordered: Sequence[Opinion], known_of: Mapping[str, Earner], *, asked: bool
    ) -> Floats:
        """Shape (1, K): log probabilities, by one opinion of each earner."""
        said = [self.choices.index(self.choice.choice(each.answer)) for each in ordered]
        theirs = [known_of.get(each.earner, NEW) for each in ordered]
        people, classes = len(said), len(self.choices)
        votes = Votes(
            np.zeros(people, dtype=np.int64),
            np.arange(people),
            np.array(said, dtype=np.int64),
            1,
            people,
            classes,
        )
        gold = np.array([each.gold for each in theirs], dtype=np.float64)
        strength = while_asked(gold) if asked else PERSONAL
        return believe(votes, self._crowd(theirs), strength=strength)

    def _crowd(self, theirs: Sequence[Earner]) -> Crowd:
        rows = np.array([self.fitting(each.counts) or [0.0] * self._size for each in theirs])
        if self.by_coins:
            return Crowd(self.prior, self.common, rows[:, 1], rows[:, 0], None)
        classes, unused = len(self.choices), np.zeros(len(theirs))
        counts = rows.reshape(-1, classes, classes)
        return Crowd(self.prior, self.common, unused, unused, counts)


async def belief_of(session: AsyncSession, project: Project) -> Belief | None:
    """None where the project asks for more than a choice, or was not estimated as it is now."""
    schema = parsed(project.label_schema)
    choice = choice_of(project.kind, schema)
    record = None if choice is None else await session.get(EstimateRecord, project.id)
    if choice is None or record is None or list(choice.choices(schema) or ()) != record.choices:
        return None
    classes, by_coins = len(record.choices), len(record.common) == 1
    common = np.array(record.common)
    return Belief(
        choice,
        record.choices,
        np.array(record.prior),
        as_often(common[0], classes) if by_coins else common.reshape(classes, classes),
        Calibration(record.temperature, np.array(record.bias), record.known),
        by_coins,
    )
