"""Projects: making and editing them, and who may see them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy import func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.accounts.roles import Caller, Right
from tessera.kernel import db
from tessera.kernel.errors import NotFound
from tessera.kernel.paging import After
from tessera.kinds import LabelClass, LabelSchema, kind_of
from tessera.ledger.currencies import MINOR_DIGITS
from tessera.ledger.errors import UnknownCurrency
from tessera.projects import chains
from tessera.projects.errors import InvalidPolicy, NotEditable, WrongState
from tessera.projects.models import Follows, PolicyVersion, Project, ProjectState
from tessera.projects.policies import Policy, Quality, Slicing
from tessera.projects.states import sources

NEVER_EDITABLE = frozenset({"kind", "currency"})
"""Known answers and prices mean nothing in another kind or currency."""
ALWAYS_EDITABLE = frozenset(
    {
        "name",
        "instructions",
        "lease_seconds",
        "quality.gold_share",
        "quality.target_confidence",
        "quality.wrong_label_micro",
        "quality.minimum_trust",
        "quality.gold_exposure",
        "quality.may_flip",
        "quality.importance",
        "quality.second_opinions",
    }
)
"""What is handed out and judged from now on goes by these. By the rest, launched tasks were cut,
priced and answered."""
_POLICIES: Mapping[str, type[Policy]] = {"slicing": Slicing, "quality": Quality}


@dataclass(frozen=True)
class Draft:
    """A project as its operator describes it."""

    name: str
    instructions: str
    kind: str
    label_schema: dict[str, Any]
    follows: Follows | None
    slicing: Slicing
    """Of a later stage this does not count: it is cut as the first one is."""
    quality: Quality
    currency: str
    price_micro: int
    lease_seconds: int


async def create(
    session: AsyncSession,
    organisation_id: UUID,
    *,
    draft: Draft,
    fee_basis_points: int,
    caller: Caller,
) -> Project:
    """Make a project that nobody works on yet.

    Raises:
        UnknownKind, InvalidLabelSchema, UnknownCurrency: The draft makes no sense.
        CannotFollow: So too, together with the project that it follows.
        NotFound: There is no such project to follow in this organisation.
    """
    caller.may(organisation_id, Right.PROJECTS_WRITE)
    if draft.currency not in MINOR_DIGITS:
        raise UnknownCurrency(f"{draft.currency} is not a currency of this Tessera.")
    label_schema = _checked(draft.kind, draft.label_schema)
    earlier = await _earlier(session, organisation_id, draft, LabelSchema.parse(label_schema))
    project = Project(
        organisation_id=organisation_id,
        name=draft.name,
        instructions=draft.instructions,
        kind=draft.kind,
        label_schema=label_schema,
        follows_id=earlier and earlier.id,
        follows_classes=draft.follows and draft.follows.classes,
        first_stage_id=earlier and earlier.images_of,
        slicing=earlier.slicing if earlier else draft.slicing.model_dump(),
        quality=draft.quality.model_dump(),
        currency=draft.currency,
        price_micro=draft.price_micro,
        fee_micro=fee(draft.price_micro, fee_basis_points),
        lease_seconds=draft.lease_seconds,
        launched_at=None,
        completed_at=None,
    )
    session.add(project)
    await session.flush()
    _keep_policy(session, project, caller)
    return project


def _keep_policy(session: AsyncSession, project: Project, caller: Caller) -> None:
    session.add(
        PolicyVersion(
            project_id=project.id,
            version=project.policy_version,
            quality=project.quality,
            created_by=caller.person_id,
        )
    )


async def versions(
    session: AsyncSession, project_id: UUID, *, caller: Caller, after: int | None, limit: int
) -> Sequence[PolicyVersion]:
    """The quality policies that a project has had, newest first."""
    await owned(session, project_id, caller=caller, right=Right.PROJECTS_READ)
    theirs = select(PolicyVersion).where(PolicyVersion.project_id == project_id)
    if after is not None:
        theirs = theirs.where(PolicyVersion.version < after)
    newest = theirs.order_by(PolicyVersion.version.desc()).limit(limit)
    return (await session.scalars(newest)).all()


async def _earlier(
    session: AsyncSession, organisation_id: UUID, draft: Draft, schema: LabelSchema
) -> Project | None:
    """The project that a draft follows."""
    if draft.follows is None:
        chains.check_first(draft.kind)
        return None
    # locked: of two at once that verify the same, the other one sees this one
    named = select(Project).where(
        Project.id == draft.follows.project_id, Project.organisation_id == organisation_id
    )
    earlier: Project | None = await session.scalar(db.locking(named))
    if earlier is None:
        raise NotFound("There is no such project to follow.")
    await chains.check(
        session, earlier, kind=draft.kind, schema=schema, classes=draft.follows.classes
    )
    return earlier


def fee(price_micro: int, basis_points: int) -> int:
    """The platform's part on top of a price, rounded half up to a micro-unit."""
    return (price_micro * basis_points + 5_000) // 10_000


async def owned(
    session: AsyncSession, project_id: UUID, *, caller: Caller, right: Right, lock: bool = False
) -> Project:
    """The only way an operator's request gets at a project.

    A lock comes after the look at whose it is: a stranger holds up nobody.

    Raises:
        NotFound: No such project, or not theirs; a caller cannot tell which.
        Forbidden: Theirs, but their role does not include this.
    """
    one = select(Project).where(Project.id == project_id)
    project: Project | None = await session.scalar(one)
    if project is None:
        raise NotFound("There is no such thing here.")
    caller.may(project.organisation_id, right)
    return (await session.scalars(db.locking(one))).one() if lock else project


async def list_owned(
    session: AsyncSession, organisation_id: UUID, *, caller: Caller, after: After | None, limit: int
) -> Sequence[Project]:
    """An organisation's projects, newest first."""
    caller.may(organisation_id, Right.PROJECTS_READ)
    theirs = select(Project).where(Project.organisation_id == organisation_id)
    if after is not None:
        theirs = theirs.where(tuple_(Project.created_at, Project.id) < after)
    newest = theirs.order_by(Project.created_at.desc(), Project.id.desc()).limit(limit)
    return (await session.scalars(newest)).all()


async def edit(
    session: AsyncSession, project_id: UUID, *, changes: dict[str, Any], caller: Caller
) -> Project:
    """Change some fields, and of policies those fields that are named.

    Raises:
        NotEditable: The project was launched, and a field decides about launched tasks; or a class
            would go that known answers may use; or no project may ever change this.
        InvalidPolicy: A policy would contradict itself.
    """
    project = await owned(session, project_id, caller=caller, right=Right.PROJECTS_WRITE, lock=True)
    touched = _touched(project, changes)
    if never := sorted(touched & NEVER_EDITABLE):
        raise NotEditable("A project keeps these for ever: make another one.", fields=never)
    if project.state != ProjectState.DRAFT and (fixed := sorted(touched - ALWAYS_EDITABLE)):
        raise NotEditable(
            "These fields are fixed once a project was launched: tasks were cut, priced or "
            "answered by them.",
            fields=fixed,
        )
    await chains.refuse_parting(session, project, touched)
    before = project.quality
    for name, value in changes.items():
        setattr(project, name, _successor_of(project, name, value))
    if project.quality != before:
        project.policy_version += 1
        _keep_policy(session, project, caller)
    await session.flush()
    return project


def _touched(project: Project, changes: Mapping[str, Any]) -> set[str]:
    """What is to change; of policies only fields that get another value, as `quality.redo`."""
    policies = {
        f"{policy}.{name}"
        for policy in changes.keys() & _POLICIES
        for name, value in changes[policy].items()
        if value != getattr(project, policy).get(name)
    }
    return (changes.keys() - _POLICIES.keys()) | policies


def _successor_of(project: Project, name: str, value: Any) -> Any:
    if name == "label_schema":
        return _successor(project, value)
    return changed(project, name, value).model_dump() if name in _POLICIES else value


def changed(project: Project, name: str, changes: Mapping[str, Any]) -> Policy:
    """A policy of a project with some of its fields changed; the project stays as it is.

    Raises:
        InvalidPolicy: It would contradict itself.
    """
    try:
        return _POLICIES[name](**{**getattr(project, name), **changes})
    except ValidationError as error:
        why = "; ".join(each["msg"].removeprefix("Value error, ") for each in error.errors())
        raise InvalidPolicy(f"{name}: {why}.", field=name) from None


async def move(
    session: AsyncSession, project_id: UUID, *, to: ProjectState, caller: Caller
) -> Project:
    """Pause, go on, or complete.

    Raises:
        WrongState: A project cannot go there from where it is.
    """
    project = await owned(session, project_id, caller=caller, right=Right.PROJECTS_WRITE)
    if to is ProjectState.OPEN and project.launched_at is None:
        raise WrongState("This project was never launched.", state=project.state)
    moved: Project | None = await session.scalar(
        update(Project)
        .where(Project.id == project_id, Project.state.in_(sources(to)))
        .values(
            state=to,
            paused_reason=None,
            **({"resumed_at": func.now()} if to is ProjectState.OPEN else {}),
            **({"completed_at": func.now()} if to is ProjectState.COMPLETED else {}),
        )
        .returning(Project)
        .execution_options(populate_existing=True)
    )
    if moved is None:
        raise WrongState(
            f"A project that is {project.state} cannot become {to}.", state=project.state
        )
    return moved


def _successor(project: Project, label_schema: dict[str, Any]) -> dict[str, Any]:
    """A label schema that answers by the old one, such as imported gold, still fit."""
    old = LabelSchema.parse(project.label_schema)
    checked = _checked(project.kind, label_schema)
    new = LabelSchema.parse(checked)
    if gone := sorted(set(old.ids) - set(new.ids)):
        raise NotEditable("Class ids stay for ever; these would go.", classes=gone)
    # gold of one class would blame who names a second one; of other skeletons it would be no answer
    options = ("multiple", "rotated", "camera", "of", "reasons")
    if any(getattr(old, name) != getattr(new, name) for name in options):
        raise NotEditable(
            f"What is asked at all stays for ever: {', '.join(options)}.", fields=["label_schema"]
        )
    if any(_points(each) != _points(new.find(each.id)) for each in old.classes):
        raise NotEditable("The points of a skeleton stay for ever.", fields=["label_schema"])
    return checked


def _points(known: LabelClass | None) -> list[str]:
    skeleton = None if known is None else known.skeleton
    return [] if skeleton is None else [point.name for point in skeleton.points]


def _checked(kind: str, label_schema: dict[str, Any]) -> dict[str, Any]:
    schema = LabelSchema.parse(label_schema)
    kind_of(kind).check_schema(schema)
    return schema.as_json()
