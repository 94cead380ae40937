"""Pages neither skip nor repeat, whatever is added while somebody turns them."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.kernel import paging
from tests.client import As
from tests.quality.court import CAT, always, court
from tests.world import World


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_a_cursor_says_exactly_where_it_was(moment: datetime, id_: UUID) -> None:
    after = (moment, id_)
    assert paging.decode(paging.encode(after), UUID) == after


@given(st.text(max_size=100))
def test_any_other_text_is_refused_or_a_place(cursor: str) -> None:
    try:
        after = paging.decode(cursor, UUID)
    except paging.BadCursor:
        return
    assert after is not None
    assert after[0].tzinfo is UTC


async def pages(someone: As, path: str, between: Any) -> list[str]:
    """Ids of all pages, with something done between two of them."""
    ids: list[str] = []
    cursor = ""
    for _ in range(20):
        page = await someone.get(f"{path}?limit=3{cursor}")
        ids += [item["id"] for item in page["items"]]
        if page["next"] is None:
            return ids
        assert len(page["items"]) == 3
        cursor = f"&cursor={page['next']}"
        await between()
    raise AssertionError("the pages do not end")


@pytest.mark.parametrize("count", [0, 3, 7])
async def test_projects_newest_first_are_those_of_when_one_began(count: int, world: World) -> None:
    owner, organisation_id = await world.operator()
    made = [(await world.project(owner, organisation_id))["id"] for _ in range(count)]

    async def another() -> None:
        await world.project(owner, organisation_id)

    path = f"/v1/organisations/{organisation_id}/projects"
    assert await pages(owner, path, another) == made[::-1]


async def test_images_oldest_first_come_with_those_that_were_added(world: World) -> None:
    owner, organisation_id = await world.operator()
    project = await world.project(owner, organisation_id)
    path = f"/v1/projects/{project['id']}/images"
    added: list[str] = []

    async def register(*names: str) -> None:
        files = [{"name": name, "content_type": "image/jpeg"} for name in names]
        made = await owner.post(path, {"files": files})
        added.extend(upload["image_id"] for upload in made["uploads"])

    async def another() -> None:
        if len(added) < 10:
            await register(f"later {len(added)}.jpg")

    await register(*(f"{n}.jpg" for n in range(7)))  # of one transaction, so of one age
    ids = await pages(owner, path, another)
    assert len(ids) == 10
    assert set(ids) == set(added)
    assert ids[7:] == added[7:]


async def test_answers_to_a_task_come_oldest_first_and_a_page_at_a_time(world: World) -> None:
    here = await court(world, "a.jpg", quality={"min_overlap": 7, "max_overlap": 9})
    await here.launch()
    people = await here.earners(7)
    for person in people:
        await here.work(person, always(CAT))
    gave = [(await person.get("/v1/me"))["person_id"] for person in people]
    path = f"/v1/tasks/{(await here.tasks())['a.jpg']['id']}"
    found, cursor, sizes = [], "", []
    while True:
        task = await here.operator.get(f"{path}?limit=3{cursor}")
        found += [each["earner_id"] for each in task["answers"]]
        sizes.append(len(task["answers"]))
        if task["next"] is None:
            break
        cursor = f"&cursor={task['next']}"
    assert (found, sizes) == (gave, [3, 3, 1])
    assert len((await here.operator.get(path))["answers"]) == 7
