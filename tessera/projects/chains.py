"""Chains: projects of which each asks about what was settled in the one before it.

Each stage has its own price and its own people; all are about the images of the first, cut as that
one cuts them. A stage that verifies shares the label schema of what it verifies.
"""

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.kinds import NOT_ABOUT, LabelSchema, chained, parsed, shown
from tessera.projects.errors import CannotFollow, NotEditable
from tessera.projects.models import Project

LONGEST = 8
"""Stages of a chain."""


def check_first(kind: str) -> None:
    """Refuse a project that has to follow another and does not.

    Raises:
        CannotFollow: Pieces that may be one object come of a project that drew them.
    """
    if kind == "join":
        raise CannotFollow("A project of kind join follows the one whose pieces it joins.")


async def check(
    session: AsyncSession,
    earlier: Project,
    *,
    kind: str,
    schema: LabelSchema,
    classes: Sequence[int] | None,
) -> None:
    """Refuse a stage that cannot follow another.

    Raises:
        CannotFollow: Says why.
    """
    of, shared = shown(earlier.kind, parsed(earlier.label_schema))
    if earlier.kind == "join":
        raise CannotFollow("Nothing follows a project of kind join: it is about whole images.")
    if kind == "join" and not chained.joins(earlier.kind, parsed(earlier.label_schema)):
        raise CannotFollow(f"Objects of {of} are not in pieces.")
    if kind in NOT_ABOUT:
        if shown(kind, schema) != (of, shared):
            raise CannotFollow(
                f"What is about a project of {of} has its label schema, and `of`: {of!r}."
            )
        if classes is not None:
            raise CannotFollow("It is about all that was settled, whatever its class.")
        if any(each.kind in NOT_ABOUT for each in await followers(session, earlier.id)):
            raise CannotFollow("Another project verifies or joins that one already.")
    if classes is not None and (unknown := sorted(set(classes) - set(shared.ids))):
        raise CannotFollow("These classes are not known there.", classes=unknown)
    if len(await before(session, earlier)) + 2 > LONGEST:
        raise CannotFollow(f"A chain has at most {LONGEST} stages.")


async def followers(session: AsyncSession, project_id: UUID) -> Sequence[Project]:
    """The stages after this one."""
    later = select(Project).where(Project.follows_id == project_id).order_by(Project.id)
    return (await session.scalars(later)).all()


async def before(session: AsyncSession, project: Project) -> list[Project]:
    """The stages before this one, the nearest first."""
    stages: list[Project] = []
    while project.follows_id is not None:
        project = await session.get_one(Project, project.follows_id)
        stages.append(project)
    return stages


async def refuse_parting(session: AsyncSession, project: Project, touched: Collection[str]) -> None:
    """Refuse changes after which the stages of a chain would not fit together any more.

    Args:
        touched: Names of fields, of policies as in `slicing.tile`.

    Raises:
        NotEditable: A field is shared with another stage.
    """
    cut = [name for name in touched if name.startswith("slicing.")]
    asked = [name for name in touched if name == "label_schema"]
    if not cut and not asked:
        return
    later = await followers(session, project.id)
    verified = any(each.kind in NOT_ABOUT for each in later)
    shared = [
        *(cut if later or project.follows_id is not None else []),
        *(asked if verified or (project.kind in NOT_ABOUT and project.follows_id) else []),
    ]
    if shared:
        raise NotEditable("Other stages of its chain share these.", fields=sorted(shared))
