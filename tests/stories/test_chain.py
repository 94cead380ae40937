"""A chain goes the whole way: is there a coin? draw; is it right? is anything missing?

On a real photograph, through the HTTP API, every stage answered by other people.
"""

import json
from typing import Any

import shapely

from tests.quality.facts import broken
from tests.stories.chains import MISSING, YES, Chain, a_chain
from tests.stories.real_coins import COIN
from tests.stories.test_every_kind import key_of
from tests.world import World


async def test_a_chain_goes_the_whole_way_and_what_is_wrong_goes_back_with_its_reason(
    world: World,
) -> None:
    chain = await a_chain(world, "present", "draw", "verify", "coverage")
    empty, wrong, *_ = sorted(chain.frames)

    def present(key: str, _: object) -> dict[str, Any]:
        return {"classes": [] if key == empty else [COIN]}

    def drawn(key: str, _: object) -> dict[str, Any]:
        """Of one tile the first coin is left out."""
        return {"objects": chain.drawn(key)["objects"][key == wrong :]}

    def right(key: str, lease: dict[str, Any]) -> dict[str, Any]:
        fine = {"objects": []} if key == empty else chain.drawn(key)
        return YES if lease["subject"]["label"] == fine else MISSING

    assert len(await chain.work("present", present)) == 8
    assert await chain.states("draw") == ["open", "open", "open", "settled"]
    assert len(await chain.work("draw", drawn)) == 6
    assert await chain.states("verify") == ["open", "open", "open", "open"]
    assert len(await chain.work("verify", right)) == 8
    assert await chain.states("verify") == ["returned", "settled", "settled", "settled"]

    somebody = await chain.world.earner()
    (again,) = await chain.lease(somebody, "draw")
    await somebody.post(
        "/v1/work/leases/return", {"lease_ids": [again["lease_id"]], "reason": "later"}
    )
    assert key_of(again["picture"]["url"]) == wrong
    assert again["subject"] == {"label": drawn(wrong, None), "reason": "missing"}
    assert await chain.work("draw", lambda key, _: chain.drawn(key)) == [wrong, wrong]
    assert await chain.work("verify", right) == [wrong, wrong]
    assert len(await chain.work("coverage", right)) == 8
    assert await chain.states("coverage") == ["settled"] * 4
    await looks_right(chain, empty)
    await adds_up(chain)


async def looks_right(chain: Chain, empty: str) -> None:
    """The dataset of the last stage has every coin that the empty tile does not show."""
    files = await chain.dataset("coverage", "json-lines")
    (image,) = map(json.loads, files["labels.jsonl"].splitlines())
    found = [tuple(each["place"]["box"]) for each in image["objects"]]
    truth = [tuple(each["box"]) for each in chain.photo.known("box")]
    window = shapely.box(*chain.frames[empty].window)
    hidden = {each for each in truth if shapely.box(*each).intersects(window)}
    assert 0 < len(hidden) < len(truth)
    assert set(truth) - hidden <= set(found)
    # what begins in the empty tile is seen by its neighbours, as far as they see it
    for each in set(found) - set(truth):
        assert any(shapely.box(*coin).covers(shapely.box(*each)) for coin in hidden)


async def adds_up(chain: Chain) -> None:
    """Every answer was paid at its own stage's price, and the rest comes back."""
    for each in chain.stages.values():
        await chain.operator.post(f"/v1/projects/{each}/complete")
    await chain.world.work.jobs()
    await chain.world.work.sweep("post-earnings")
    await chain.world.work.jobs()
    assert await broken(chain.world.sessions) == []
