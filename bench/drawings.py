"""Drawings: how many answers our stopping takes for what a quorum of many gives."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from bench.artists import Scene, artists, scenes
from tessera.kinds import KINDS, Answer, Label, Objects
from tessera.kinds.consensus import matched
from tessera.quality.replay import Policy
from tessera.quality.replay_drawings import replay_drawings
from tessera.truth.calibration import expected_calibration_error
from tessera.truth.stopping import Stopping

QUORUMS = (3, 5, 7)
TARGETS = (0.75, 0.8, 0.82, 0.85, 0.9, 0.95)
MOST, GOLD = 8, 0.15


def compared(pictures: int, seeds: int) -> dict[str, Any]:
    """F1 and answers of quorums, as most tools have them, and of ours at several targets."""
    kind = KINDS["box"]
    assert isinstance(kind, Objects)
    draws = [_scenes(kind, pictures, seed) for seed in range(seeds)]
    ours = {target: Stopping(1, MOST, target) for target in TARGETS}
    return beside_quorums(kind, draws, QUORUMS, "target", ours)


def beside_quorums(
    kind: Objects,
    draws: Sequence[Sequence[Scene]],
    quorums: Sequence[int],
    name: str,
    ours: Mapping[float, Stopping],
) -> dict[str, Any]:
    """Means over all draws, of pictures that are no gold.

    Args:
        ours: Ways of stopping, by what makes them different, which is called `name`.
    """
    ordinary = [[each for each in made if each.drawings.gold is None] for made in draws]
    scores = {
        count: [f1(kind, some, [quorum(kind, each, count) for each in some]) for some in ordinary]
        for count in quorums
    }
    sure = {
        by: [until_sure(kind, made, stopping) for made in draws] for by, stopping in ours.items()
    }
    return {
        "quorums": [{"answers": n, "f1": float(np.mean(all_))} for n, all_ in scores.items()],
        "ours": [{name: by, **means(all_)} for by, all_ in sure.items()],
    }


class UntilSure(NamedTuple):
    f1: float
    answers: float
    """As a mean."""
    ece: float
    """How far the confidence of objects is off."""


def until_sure(kind: Objects, made: Sequence[Scene], stopping: Stopping) -> UntilSure:
    """Of pictures that are no gold."""
    found = replay_drawings(kind, [each.drawings for each in made], Policy(stopping))
    told = [
        (each, outcome.label, asked)
        for each, outcome, asked in zip(made, found.outcomes, found.asked, strict=True)
        if each.drawings.gold is None and outcome is not None
    ]
    scored = f1(kind, [each for each, _, _ in told], [label for _, label, _ in told])
    sure, right = zip(
        *(hit for each, label, _ in told for hit in _hits(kind, each, label)), strict=True
    )
    off = expected_calibration_error(np.array(sure), np.array(right, dtype=bool))
    return UntilSure(scored, float(np.mean([asked for _, _, asked in told])), off)


def _hits(kind: Objects, scene: Scene, label: Label) -> Iterator[tuple[float, bool]]:
    """Of each object how sure it is, and whether it is there."""
    for each in label["objects"]:
        alone = kind.tally({"objects": [each]}, scene.truth, scene.drawings.question)
        yield each["confidence"], alone.found == 1


def means(all_: Sequence[UntilSure]) -> dict[str, float]:
    return dict(zip(UntilSure._fields, np.mean(all_, axis=0).tolist(), strict=True))


def times_fewer(found: dict[str, Any]) -> float:
    """Of the largest quorum's answers to ours at the same F1, along our curve; 0 beyond its end."""
    most, curve = (
        found["quorums"][-1],
        sorted((each["f1"], each["answers"]) for each in found["ours"]),
    )
    scores, answers = zip(*curve, strict=True)
    return float(most["answers"] / np.interp(most["f1"], scores, answers, right=np.inf))


def _scenes(kind: Objects, pictures: int, seed: int) -> list[Scene]:
    dice = np.random.default_rng(seed)
    return with_gold(scenes(kind, pictures, artists(30, dice), MOST, dice), GOLD, dice)


def with_gold(made: Sequence[Scene], share: float, dice: np.random.Generator) -> list[Scene]:
    """Some of them known."""
    return [
        replace(each, drawings=replace(each.drawings, gold=each.truth if known else None))
        for each, known in zip(made, dice.random(len(made)) < share, strict=True)
    ]


def quorum(kind: Objects, scene: Scene, count: int) -> Answer:
    """What more than half of the first so many have drawn: matched by IoU, boxes averaged."""
    question = scene.drawings.question
    answers = [answer["objects"] for _, answer in scene.drawings.answers[:count]]
    drawn = [each for answer in answers for each in answer]
    makers = np.repeat(np.arange(len(answers)), [len(answer) for answer in answers])
    classes = np.array([each["class"] for each in drawn], dtype=np.int64)
    shapes = kind.shape.load(drawn, question.schema, (0, 0))
    groups = matched(kind.shape, shapes, classes, makers)
    objects = []
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        if 2 * len(members) > len(answers):
            box = np.mean([drawn[each]["box"] for each in members], axis=0)
            named = int(np.bincount(classes[members]).argmax())
            objects.append({"class": named, "box": box.round(2).tolist()})
    return kind.validate({"objects": objects}, question)


def f1(kind: Objects, made: Sequence[Scene], labels: Sequence[Label]) -> float:
    tallies = np.array(
        [
            kind.tally(label, each.truth, each.drawings.question)
            for each, label in zip(made, labels, strict=True)
        ]
    )
    there, found, drawn, _ = tallies.sum(0)
    return float(2 * found / (there + drawn))
