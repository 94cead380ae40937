import pytest

from tessera.projects.models import ProjectState
from tessera.projects.states import MOVES, sources


def test_every_state_has_its_moves_and_completed_has_none() -> None:
    assert set(MOVES) == set(ProjectState)
    assert MOVES[ProjectState.COMPLETED] == frozenset()


def test_every_state_is_reached_from_a_draft() -> None:
    reached = {ProjectState.DRAFT}
    for _ in ProjectState:
        reached |= {after for state in reached for after in MOVES[state]}
    assert reached == set(ProjectState)


@pytest.mark.parametrize("target", ProjectState)
def test_sources_are_the_moves_backwards(target: ProjectState) -> None:
    assert sources(target) == {state for state in ProjectState if target in MOVES[state]}
