"""Simulated earners at work: each leases and answers over HTTP until there is no more."""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from httpx2 import AsyncClient

from demo import simulated
from demo.asked import Asked, Scene
from demo.client import Person, Refusal, sign_up
from demo.simulated import Earner

CROWD = {
    "careful": 8,
    "average": 6,
    "sloppy": 3,
    "random_clicker": 3,
    "box_everything": 2,
    "too_fast": 2,
}
TEAM = {
    "careful": 4,
    "average": 3,
    "sloppy": 2,
    "random_clicker": 1,
    "box_everything": 1,
    "too_fast": 1,
}
"""Few enough that each finds work until found out, even where there are few tasks; and more honest
ones than a task may ask."""
HONEST = {"careful": 8, "average": 6, "sloppy": 3}
"""For where no gold can tell; an operator invites such people."""
SPAMMERS = ("random_clicker", "box_everything")
GOOD = ("careful", "average")
FASTER = 40
"""Than life. At the same pace for all, the hasty would do less than they do in life, and the work
would run out before they have met enough gold to be stopped."""


HANDFUL = 15
"""Answers."""


@dataclass
class Labeller:
    """One simulated earner and how they err."""

    person: Person
    model: str
    rng: random.Random
    answers: Counter[str] = field(default_factory=Counter)
    """Those taken, by project id."""
    stopped: set[str] = field(default_factory=set)
    """Ids of the projects that give them no more."""

    @property
    def stopped_everywhere(self) -> bool:
        """Wherever they did more than a handful: of fewer, gold may be too few to tell."""
        worked_in = {id_ for id_, count in self.answers.items() if count > HANDFUL}
        return bool(self.stopped) and self.stopped >= worked_in


async def gather(http: AsyncClient, *, seed: int) -> list[Labeller]:
    """Sign the crowd up."""

    async def one(model: str, number: int) -> Labeller:
        email = f"{model}-{number}@earners.example"
        person = await sign_up(http, email, name=f"{model} {number}", kind="earner")
        return Labeller(person, model, random.Random(f"{seed} {email}"))

    return await asyncio.gather(
        *(one(model, number) for model, count in CROWD.items() for number in range(count))
    )


def some(crowd: Sequence[Labeller], counts: Mapping[str, int], *, seed: str) -> list[Labeller]:
    """So many of each model."""
    rng = random.Random(seed)
    by_model = {model: [each for each in crowd if each.model == model] for model in counts}
    return [each for model, count in counts.items() for each in rng.sample(by_model[model], count)]


async def work(
    crowd: Sequence[Labeller],
    project: Mapping[str, Any],
    asked: Asked,
    scenes: Mapping[str, Scene],
    done: asyncio.Event,
) -> None:
    """All of them at once, until `done`."""
    async with asyncio.TaskGroup() as tasks:
        for labeller in crowd:
            tasks.create_task(_work(labeller, project, asked, scenes, done))


async def _work(
    labeller: Labeller,
    project: Mapping[str, Any],
    asked: Asked,
    scenes: Mapping[str, Scene],
    done: asyncio.Event,
) -> None:
    class_ids = [each["id"] for each in project["label_schema"]["classes"]]
    while not done.is_set():
        try:
            handed = await labeller.person.post(
                "/v1/work/leases", {"project_id": project["id"], "count": 5}
            )
        except Refusal as refusal:
            if refusal.code != "below-minimum-trust":
                raise
            return
        if not handed["leases"]:
            await _either(done, seconds=1.0)
            continue
        body = [_answer(labeller, lease, class_ids, asked, scenes) for lease in handed["leases"]]
        results = await labeller.person.post("/v1/work/answers", {"answers": body})
        labeller.answers[project["id"]] += sum(each["accepted"] for each in results["results"])
        await asyncio.sleep(sum(each["seconds"] for each in body) / FASTER)


async def note_stopped(crowd: Sequence[Labeller], project_id: str) -> None:
    """Ask once all is judged: gold may tell on somebody after their last lease."""
    for each in crowd:
        if each.answers[project_id]:
            offer = await each.person.get(f"/v1/work/offers/{project_id}")
            if offer["blocked_reason"] is not None:
                each.stopped.add(project_id)


def counted(crowd: Sequence[Labeller], projects: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Who was stopped: a spammer if in each project they worked in, somebody good if in any.

    Trust is of one project: to be stopped in one leaves a spammer free in the others.
    """
    return {
        "answers": sum(each.answers.total() for each in crowd),
        "spammers": sum(each.model in SPAMMERS for each in crowd),
        "spammers_blocked": sum(
            each.model in SPAMMERS and each.stopped_everywhere for each in crowd
        ),
        "honest_blocked": sum(each.model in GOOD and bool(each.stopped) for each in crowd),
        "stopped": {project["name"]: _stopped_of(crowd, project["id"]) for project in projects},
    }


def _stopped_of(crowd: Sequence[Labeller], project_id: str) -> dict[str, dict[str, int]]:
    """By model: how many were stopped in a project, of how many who worked in it."""
    there = [each for each in crowd if each.answers[project_id]]
    return {
        model: {
            "stopped": sum(each.model == model and project_id in each.stopped for each in there),
            "worked": sum(each.model == model for each in there),
        }
        for model in CROWD
    }


def _answer(
    labeller: Labeller,
    lease: Mapping[str, Any],
    class_ids: Sequence[int],
    asked: Asked,
    scenes: Mapping[str, Scene],
) -> dict[str, Any]:
    scene = replace(scenes[key_of(lease["picture"]["url"])], subject=lease["subject"])
    model: Earner = simulated.EARNERS[labeller.model]
    return {
        "lease_id": lease["lease_id"],
        "fence": lease["fence"],
        "outcome": "answered",
        "answer": asked.answer(model, scene, class_ids, labeller.rng),
        "seconds": round(model.seconds(labeller.rng), 2),
    }


def key_of(url: str) -> str:
    """The picture behind a link: its path, whatever the signature."""
    return urlsplit(url).path


async def _either(done: asyncio.Event, *, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await done.wait()
    except TimeoutError:
        return
