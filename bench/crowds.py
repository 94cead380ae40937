"""Sets of answers with known truth: public ones in a folder, or simulated ones, always the same."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tessera.cli.recorded import read
from tessera.truth.votes import UNKNOWN, Indices, Votes


@dataclass(frozen=True)
class AnswerSet:
    name: str
    votes: Votes
    truth: Indices
    """Shape (n_items,), `UNKNOWN` where it is."""


@dataclass(frozen=True)
class Recipe:
    """How a crowd is made up."""

    name: str
    items: int
    earners: int
    per_item: int
    prior: tuple[float, ...]
    skill: tuple[float, float]
    """Beta parameters of how often an earner is right where the item is plain."""
    lean: float = 0.0
    """How far each earner leans to the classes that they like."""
    spam: float = 0.0
    """Share of earners who say anything."""
    ambiguous: float = 0.2
    """Share of items that show more of another class to everybody."""


RECIPES = (
    Recipe("plain", 800, 60, 6, (0.5, 0.5), (8, 2), ambiguous=0.05),
    Recipe("leaning", 300, 40, 20, (0.6, 0.4), (5, 4), lean=0.6),
    Recipe("four classes", 800, 100, 9, (0.4, 0.3, 0.2, 0.1), (7, 3)),
    Recipe("many strangers", 400, 500, 6, (0.3, 0.3, 0.2, 0.15, 0.05), (8, 3)),
    Recipe("spammed", 900, 80, 9, (0.7, 0.3), (8, 2), spam=0.35),
    Recipe("hard", 600, 40, 8, (0.25, 0.25, 0.25, 0.25), (6, 4), ambiguous=0.35),
)


def public(folder: Path) -> Iterator[AnswerSet]:
    """Every folder below that has `labels.csv` and `truth.csv` of a few classes."""
    for labels in sorted(folder.glob("*/labels.csv")):
        recorded = read(labels, labels.with_name("truth.csv"))
        votes = recorded.votes.only(recorded.votes.first_each())
        if votes.n_classes <= MOST_CLASSES:
            yield AnswerSet(labels.parent.name, votes, recorded.truth)


MOST_CLASSES = 20


def simulated(recipe: Recipe, seed: int = 1) -> AnswerSet:
    """Answers of a crowd whose truth is known, in an order by chance."""
    dice = np.random.default_rng([seed, len(recipe.name), recipe.items])
    classes = len(recipe.prior)
    truth = dice.choice(classes, recipe.items, p=recipe.prior)
    shown = np.eye(classes)[truth] * 0.94 + 0.06 / classes
    other = (truth + dice.integers(1, classes, recipe.items)) % classes
    mixed = dice.uniform(0.3, 0.6, recipe.items) * (dice.random(recipe.items) < recipe.ambiguous)
    shown *= 1 - mixed[:, None]
    shown[np.arange(recipe.items), other] += mixed
    skill = dice.beta(*recipe.skill, recipe.earners)
    skill[dice.random(recipe.earners) < recipe.spam] = 0.0
    likes = dice.dirichlet(np.full(classes, 0.7), recipe.earners)
    likes = recipe.lean * likes + (1 - recipe.lean) / classes
    frequent = dice.pareto(1.2, recipe.earners) + 0.2
    item = np.repeat(np.arange(recipe.items), recipe.per_item)
    earner = np.concatenate(
        [
            dice.choice(recipe.earners, recipe.per_item, replace=False, p=frequent / frequent.sum())
            for _ in range(recipe.items)
        ]
    )
    said = skill[earner, None] * shown[item] + (1 - skill[earner, None]) * likes[earner]
    label = (dice.random((len(item), 1)) > said.cumsum(1)).sum(1).clip(max=classes - 1)
    order = dice.permutation(len(item))
    votes = Votes(item[order], earner[order], label[order], recipe.items, recipe.earners, classes)
    return AnswerSet(recipe.name, votes, truth)


def many(answers: int, seed: int = 1) -> AnswerSet:
    """Five answers to each of many items by a few thousand earners, of four classes."""
    dice = np.random.default_rng(seed)
    items, earners, classes = answers // 5, max(answers // 500, 20), 4
    truth = dice.integers(0, classes, items)
    item = np.repeat(np.arange(items), 5)
    earner = dice.integers(0, earners, len(item))
    right = dice.random(len(item)) < dice.beta(6, 2, earners)[earner]
    label = np.where(
        right, truth[item], (truth[item] + dice.integers(1, classes, len(item))) % classes
    )
    return AnswerSet("many", Votes(item, earner, label, items, earners, classes), truth)


def gold_of(each: AnswerSet, share: float, seed: int) -> Indices:
    """The truth of some items, drawn by chance; `UNKNOWN` of the others."""
    drawn = np.random.default_rng([seed, each.votes.n_items]).random(each.votes.n_items) < share
    return np.where(drawn, each.truth, UNKNOWN)
