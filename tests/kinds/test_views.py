"""Views of known answers: another picture, and the answer that goes with it."""

from functools import cache
from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tessera.kinds import KINDS, LabelSchema, Objects, Question, Size, TileFrame, Window
from tessera.kinds.subjects import as_answer
from tessera.kinds.views import (
    AS_IT_IS,
    BLOCK,
    FURTHEST,
    NEAREST,
    View,
    candidates,
    known_in,
    may_mirror,
    may_move,
    subject_in,
)
from tests.kinds.samples import a_schema, asked, boxes, tiles_of, whole
from tests.stories.real_coins import WAYS, kind_of, photographs, schema_of

MIRRORED = View(mirror=True)
MOVED = sorted({*WAYS} - {"classify", "several classes"})
TILE, MARGIN = 160, 16


@cache
def truths(way: str) -> list[tuple[list[Any], dict[str, Any], Question]]:
    """What is known of real photographs, what tiles of them show, and the question about each."""
    schema, found = LabelSchema.parse(schema_of(way)), []
    if way in {"classify", "several classes"}:
        of = [each["id"] for each in schema_of(way)["classes"]][: 1 + (way != "classify")]
        return [([], {"classes": sorted(of)}, Question(schema, whole(Size(200, 160))))]
    for photograph in photographs()[:1]:
        known = list(photograph.known(way))
        for frame in tiles_of(photograph.size, tile=TILE, margin=MARGIN)[:4]:
            question = Question(schema, frame)
            label = KINDS[kind_of(way)].to_tile(known, question)
            if label is not None:
                found.append((known, label, question))
    return found


def views_of(way: str, question: Question, *, may_flip: bool = True) -> list[View]:
    flips = may_flip and may_mirror(kind_of(way), question.schema)
    moves = may_move(kind_of(way), question.schema)
    return candidates(question.frame, may_move=moves, may_flip=flips, seed=b"a task")


@pytest.mark.parametrize("way", [*WAYS])
def test_who_sees_all_there_is_in_a_view_is_right(way: str) -> None:
    kind, tried = KINDS[kind_of(way)], 0
    for known, label, question in truths(way):
        for view in views_of(way, question):
            expected = known_in(kind_of(way), label, question, view)
            if expected is None:
                continue
            there = Question(question.schema, view.of(question.frame))
            seen = kind.to_tile(known, there) if view.dx or view.dy else label
            assert seen is not None
            turn = View(mirror=view.mirror)
            drawn = known_in(kind_of(way), seen, there, turn)
            assert drawn is not None
            plain = as_answer({**drawn, **_without_optional(drawn)})
            answer = kind.validate(plain, there)
            score = kind.score(answer, expected, there)
            # stubs of lines that end side by side at an edge may be taken for each other
            assert score == pytest.approx(1) or (way == "polyline" and score > 0.9), (
                view,
                expected,
            )
            tried += 1
    assert tried >= (12 if way in MOVED else 1) or way == "cuboid in metres"


def _without_optional(label: dict[str, Any]) -> dict[str, Any]:
    if "objects" not in label:
        return {}
    return {"objects": [each for each in label["objects"] if not each.get("optional")]}


@pytest.mark.parametrize("way", [*WAYS])
def test_mirrored_twice_it_is_what_it_was(way: str) -> None:
    for _, label, question in truths(way):
        once = known_in(kind_of(way), label, question, MIRRORED)
        if once is None:
            assert not may_mirror(kind_of(way), question.schema)
            continue
        twice = known_in(kind_of(way), once, question, MIRRORED)
        assert twice == label
        if kind_of(way) != "classify":
            assert once != label


@pytest.mark.parametrize("way", MOVED)
def test_moved_away_and_back_what_stayed_inside_is_where_it_was(way: str) -> None:
    kind, kept = KINDS[kind_of(way)], 0
    if not isinstance(kind, Objects):
        return
    for _, label, question in truths(way):
        for view in views_of(way, question, may_flip=False):
            there = known_in(kind_of(way), label, question, view)
            if there is None:
                continue
            at = Question(question.schema, view.of(question.frame))
            back = known_in(kind_of(way), there, at, View(-view.dx, -view.dy))
            firm = [] if back is None else _without_optional(back)["objects"]
            for each in firm:
                like = [{**other, "optional": False} for other in label["objects"]]
                scores = [kind.score(boxes(each), boxes(other), question) for other in like]
                assert max(scores) > 0.99, (view, each)
            kept += len(firm)
    assert kept or not may_move(kind_of(way), truths(way)[0][2].schema)


sizes = st.integers(64, 400)


@given(sizes, sizes, st.integers(0, 300), st.integers(0, 300), st.binary(min_size=4, max_size=32))
def test_candidates_stay_in_the_image_and_lie_well_apart(
    width: int, height: int, left: int, top: int, seed: bytes
) -> None:
    tile = Window(left, top, left + 128, top + 128)
    frame = TileFrame(tile, tile, Size(left + 128 + width, top + 128 + height))
    found = candidates(frame, may_move=True, may_flip=True, seed=seed)
    assert AS_IT_IS not in found
    assert len({*found}) == len(found)
    for each in found:
        window = each.of(frame).window
        assert window.size == tile.size
        assert min(window.left, window.top) >= 0
        assert window.right <= frame.image.width
        assert window.bottom <= frame.image.height
        far = abs(each.dx) + abs(each.dy)
        assert far == 0 or (NEAREST * 128 <= far <= FURTHEST * 128 and far % BLOCK == 0)
    places = {(each.dx, each.dy) for each in found}
    assert all(one != other for one, other in combinations(places, 2))
    again = candidates(frame, may_move=True, may_flip=True, seed=seed)
    assert again == found, "whoever was killed goes on with the same ones"


def test_a_whole_image_is_only_ever_mirrored_and_only_if_that_is_allowed() -> None:
    frame = whole(Size(200, 100))
    assert candidates(frame, may_move=True, may_flip=False, seed=b"x") == []
    assert candidates(frame, may_move=True, may_flip=True, seed=b"x") == [MIRRORED]


def test_what_would_lie_otherwise_to_the_blocks_of_its_file_is_not_shown() -> None:
    assert candidates(whole(Size(201, 100)), may_move=True, may_flip=True, seed=b"x") == []


def test_what_cannot_be_told_is_refused() -> None:
    tile, image = Window(100, 100, 228, 228), Size(400, 400)
    question = asked(TileFrame(tile, tile, image))
    view = View(20)
    assert known_in("classify", {"classes": [1]}, question, view) is None
    assert known_in("classify", {"classes": [1]}, question, MIRRORED) == {"classes": [1]}
    assert known_in("join", {"verdict": "yes"}, question, MIRRORED) is None
    edge = {"class": 1, "box": [1, 10, 15, 30], "attributes": {}}
    assert known_in("box", boxes(edge), question, view) is None, "nothing would be left of it"
    assert known_in("box", boxes(), question, view) is not None
    with pytest.raises(ValueError, match="one direction"):
        View(8, 8)
    with pytest.raises(ValueError, match="mirrored"):
        subject_in("verify", {"label": boxes()}, question, view)


def test_points_with_sides_are_mirrored_only_in_pairs() -> None:
    def schema(*flips: list[int]) -> LabelSchema:
        points = [{"name": each} for each in ("left_eye", "right_eye", "nose")]
        skeleton = {"points": points, "edges": [], "flips": [*flips]}
        of = {"id": 1, "name": "face", "colour": "#e6194b", "skeleton": skeleton}
        return LabelSchema.parse({"classes": [of]})

    assert not may_mirror("keypoints", schema())
    assert may_mirror("keypoints", schema([0, 1]))
    face = {"class": 1, "points": [[10, 20, 2], [30, 21, 1], [0, 0, 0]], "attributes": {}}
    question = asked(whole(Size(100, 50)), schema([0, 1]))
    found = known_in("keypoints", boxes(face), question, MIRRORED)
    assert found is not None
    assert found["objects"][0]["points"] == [[70, 21, 1], [90, 20, 2], [0, 0, 0]]


def test_what_is_to_be_verified_is_mirrored_with_its_picture_in_the_form_of_answers() -> None:
    schema = LabelSchema.parse({**a_schema().as_json(), "of": "box"})
    question = asked(whole(Size(100, 50)), schema)
    seen = [{"class": 1, "box": [10, 5, 30, 20], "attributes": {}}]
    seen += [{"class": 2, "box": [60, 5, 90, 40], "attributes": {}}]
    subject = {"label": {"objects": seen}}
    assert subject_in("verify", subject, question, MIRRORED) == {
        "label": {
            "objects": [
                {"class": 2, "box": [10, 5, 40, 40], "attributes": {}},
                {"class": 1, "box": [70, 5, 90, 20], "attributes": {}},
            ]
        }
    }
    fix = {"verdict": "fix", "label": {"objects": seen[:1]}}
    assert known_in("verify", fix, question, MIRRORED) == {
        "verdict": "fix",
        "label": {"objects": [{"class": 1, "box": [70, 5, 90, 20], "attributes": {}}]},
    }
    assert known_in("verify", {"verdict": "yes"}, question, View(10)) is None
