"""The life of a project, as data."""

from enum import StrEnum


class ProjectState(StrEnum):
    DRAFT = "draft"
    OPEN = "open"
    PAUSED = "paused"
    COMPLETED = "completed"


_S = ProjectState

MOVES: dict[ProjectState, frozenset[ProjectState]] = {
    _S.DRAFT: frozenset({_S.OPEN, _S.COMPLETED}),
    _S.OPEN: frozenset({_S.PAUSED, _S.COMPLETED}),
    _S.PAUSED: frozenset({_S.OPEN, _S.COMPLETED}),
    _S.COMPLETED: frozenset(),
}


def sources(target: ProjectState) -> frozenset[ProjectState]:
    """States from which `target` may be reached."""
    return frozenset(state for state, targets in MOVES.items() if target in targets)
