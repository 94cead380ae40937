"""`python -m api.admin`: what only whoever runs the servers may do."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import closing
from typing import Annotated, Any
from uuid import UUID

import typer
from pydantic import ValidationError
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.accounts import credentials, members, service
from tessera.accounts.errors import LastOwner, NotAnOperator
from tessera.accounts.models import Membership, Organisation, Person, PersonKind, Role
from tessera.kernel import db, jobs
from tessera.kernel.errors import Conflict, DomainError, Invalid, NotFound
from tessera.kernel.settings import Settings
from tessera.storage.connect import store_of


class OurBucket(Invalid):
    code = "our-bucket"


class BucketTaken(Conflict):
    code = "bucket-taken"


app = typer.Typer(no_args_is_help=True, help=__doc__)


async def add_to_platform(
    session: AsyncSession, *, person_id: UUID, role: Role | None = None
) -> tuple[Person, Role]:
    """Make somebody a member of the organisation that runs this Tessera, or change their role.

    Args:
        person_id: Not an address: anybody may have signed up with it.
        role: If it is not said, the first member is owner, others are finance, and who is a
            member keeps their role.

    Returns:
        Them, and their role now.

    Raises:
        NotAnOperator: There is no operator with this id.
        LastOwner: The platform would have no owner.
    """
    person = await session.get(Person, person_id)
    if person is None or person.kind is not PersonKind.OPERATOR:
        raise NotAnOperator("There is no operator with this id.")
    platform = await session.scalar(select(Organisation).where(Organisation.is_platform))
    if platform is None:
        if role not in {None, Role.OWNER}:
            raise LastOwner("The platform's first member is its owner: leave --role out.")
        await service.found_organisation(
            session, name="Platform", owner_id=person.id, is_platform=True
        )
        return person, Role.OWNER
    member = await session.get(Membership, (platform.id, person.id))
    if member is None:
        role = role or Role.FINANCE
        session.add(Membership(organisation_id=platform.id, person_id=person.id, role=role))
        return person, role
    if role is not None:
        await members.set_role(session, platform.id, person_id=person.id, role=role)
    return person, role or member.role


async def set_bucket(
    session: AsyncSession, *, organisation_id: UUID, bucket: str | None, ours: str
) -> None:
    """Let an organisation import from a bucket; it can read all of it.

    Args:
        bucket: If there is none, it may import from no bucket any more.
        ours: The bucket of this Tessera, with everybody's images.

    Raises:
        OurBucket: It is ours.
        BucketTaken: It is another organisation's.
        NotFound: There is no such organisation.
    """
    if bucket == ours:
        raise OurBucket("This Tessera keeps everybody's images in that bucket.")
    theirs = select(Organisation.id).where(
        Organisation.import_bucket == bucket,
        Organisation.import_bucket.is_not(None),
        Organisation.id != organisation_id,
    )
    if (other := await session.scalar(theirs)) is not None:
        raise BucketTaken(f"The organisation {other} imports from that bucket.")
    changed = await session.scalar(
        update(Organisation)
        .where(Organisation.id == organisation_id)
        .values(import_bucket=bucket)
        .returning(Organisation.id)
    )
    if changed is None:
        raise NotFound("There is no such organisation.")


@app.command()
def platform_member(person_id: UUID, role: Annotated[Role | None, typer.Option()] = None) -> None:
    """Let an operator act for the platform: record deposits, pay out.

    Ask them for their person_id: they read it in /v1/me. The first one is its owner; others are
    finance, unless you say another role. Said of a member, it changes their role.
    """

    async def add(session: AsyncSession) -> None:
        person, now = await add_to_platform(session, person_id=person_id, role=role)
        typer.echo(f"{person.email}, signed up {person.created_at:%Y-%m-%d %H:%M}: {now}")

    _run(add)


@app.command()
def import_bucket(
    organisation_id: UUID, bucket: Annotated[str | None, typer.Argument()] = None
) -> None:
    """Name the bucket that an organisation, and no other, may import images from; or none."""
    ours = _settings().s3_bucket
    _run(
        lambda session: set_bucket(
            session, organisation_id=organisation_id, bucket=bucket, ours=ours
        )
    )


@app.command()
def allow_origin(origin: str) -> None:
    """Let pages of one origin (https://app.example) reach the store by links, and of no other."""
    if not re.fullmatch(r"https?://[^/]+", origin):
        raise typer.BadParameter("An origin is a scheme and a host, and ends there.")

    async def allow() -> None:
        with closing(store_of(_settings())) as store:
            await store.ensure_bucket()
            if not await store.allow_origin(origin):
                typer.echo("! This store keeps no such rule for a bucket: set its own.", err=True)

    _report(allow())


@app.command()
def disable_person(email: str) -> None:
    """Shut somebody out: their sessions and API keys end at once, and they cannot log in."""
    _run(lambda session: credentials.disable(session, email=email))


@app.command()
def enable_person(email: str) -> None:
    """Let somebody in again who was shut out by mistake; they log in anew."""
    _run(lambda session: credentials.enable(session, email=email))


@app.command()
def held() -> None:
    """List jobs that were given up on, with their last error; the latest first."""

    async def show(session: AsyncSession) -> None:
        for job in await jobs.held(session):
            typer.echo(f"{job.id}  {job.since:%Y-%m-%d %H:%M}  {job.name}  {job.error}")

    _run(show)


@app.command()
def requeue(job_ids: list[int]) -> None:
    """Let such jobs run again, when what stopped them is mended."""
    _run(lambda session: jobs.requeue(session, job_ids))


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        for each in error.errors():
            name = "_".join(("TESSERA", *map(str, each["loc"]))).upper()
            typer.echo(f"! {name}: {each['msg']}", err=True)
        raise typer.Exit(1) from error


def _run(change: Callable[[AsyncSession], Awaitable[None]]) -> None:
    async def run() -> None:
        engine = db.create_engine(str(_settings().database_url), application_name="admin")
        try:
            async with db.transaction(db.create_sessions(engine)) as session:
                await change(session)
        finally:
            await engine.dispose()

    _report(run())


def _report(work: Coroutine[Any, Any, None]) -> None:
    try:
        asyncio.run(work)
    except DomainError as error:
        typer.echo(f"! {error.detail}", err=True)
        raise typer.Exit(1) from error


if __name__ == "__main__":
    app()
