"""`python -m api.admin`: what only whoever runs the servers may do."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.accounts import credentials, service
from tessera.accounts.models import Membership, Organisation, Person, PersonKind, Role
from tessera.kernel import db, jobs
from tessera.kernel.errors import DomainError, NotFound
from tessera.kernel.settings import Settings

app = typer.Typer(no_args_is_help=True, help=__doc__)


async def add_to_platform(session: AsyncSession, *, email: str, role: Role) -> None:
    """Make somebody a member of the organisation that runs this Tessera; again changes nothing.

    Raises:
        NotFound: Nobody signed up as an operator with this address.
    """
    person = await session.scalar(
        select(Person).where(Person.email == email.lower(), Person.kind == PersonKind.OPERATOR)
    )
    if person is None:
        raise NotFound(f"Nobody has signed up as an operator with {email}.")
    platform = await session.scalar(select(Organisation).where(Organisation.is_platform))
    if platform is None:
        platform = await service.found_organisation(
            session, name="Platform", owner_id=person.id, is_platform=True
        )
    if await session.get(Membership, (platform.id, person.id)) is None:
        session.add(Membership(organisation_id=platform.id, person_id=person.id, role=role))


async def set_bucket(session: AsyncSession, *, organisation_id: str, bucket: str) -> None:
    """Let an organisation import from a bucket; it can read all of it.

    Raises:
        NotFound: There is no such organisation.
    """
    changed = await session.scalar(
        update(Organisation)
        .where(Organisation.id == organisation_id)
        .values(import_bucket=bucket)
        .returning(Organisation.id)
    )
    if changed is None:
        raise NotFound("There is no such organisation.")


@app.command()
def platform_member(email: str, role: Annotated[Role, typer.Option()] = Role.FINANCE) -> None:
    """Let an operator act for the platform: record deposits, pay out."""
    _run(lambda session: add_to_platform(session, email=email, role=role))


@app.command()
def import_bucket(organisation_id: str, bucket: str) -> None:
    """Name the bucket that an organisation may import images from."""
    _run(lambda session: set_bucket(session, organisation_id=organisation_id, bucket=bucket))


@app.command()
def disable_person(email: str) -> None:
    """Shut somebody out: their sessions and API keys end at once, and they cannot log in."""
    _run(lambda session: credentials.disable(session, email=email))


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


def _run(change: Callable[[AsyncSession], Awaitable[None]]) -> None:
    async def run() -> None:
        engine = db.create_engine(str(Settings().database_url), application_name="admin")
        try:
            async with db.transaction(db.create_sessions(engine)) as session:
                await change(session)
        finally:
            await engine.dispose()

    try:
        asyncio.run(run())
    except DomainError as error:
        typer.echo(f"! {error.detail}", err=True)
        raise typer.Exit(1) from error


if __name__ == "__main__":
    app()
