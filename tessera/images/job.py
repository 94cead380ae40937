"""What an attempt at bringing in an image knows of it, and what may come between.

A worker that is not heard of is taken for dead, and may yet wake up: then two attempts work at one
image, each perhaps with another file. So whatever is written asks whether the image is still as
the attempt knows it.
"""

import hashlib
from dataclasses import dataclass
from pathlib import PurePosixPath
from uuid import UUID

from sqlalchemy import ColumnElement, select

from tessera.accounts.models import Organisation
from tessera.images.models import Image, ImageState
from tessera.images.policy import SlicePolicy, TileFormat
from tessera.kernel import db
from tessera.projects.models import Project
from tessera.storage import keys
from tessera.storage.context import JobContext

BEING_DONE = Image.state.in_({ImageState.CHECKING, ImageState.SLICING})


class Superseded(Exception):  # noqa: N818
    """Another attempt has ended the image, or has it with another file.

    The engine tries again what fails so. It must not take the job for done: to it both attempts
    are the same job, and the other one may still be killed and need it.
    """


@dataclass(frozen=True)
class Job:
    """What the steps need to know; read once."""

    image_id: UUID
    project_id: UUID
    sha256: str | None
    """Of the file that is cut into tiles; None until one was checked."""
    source_key: str | None
    import_bucket: str | None
    policy: SlicePolicy
    is_resumed: bool
    """An earlier attempt began to cut, and may have stored tiles that it did not note."""
    is_refused: bool
    """By an attempt that was killed before it had removed everything."""

    def in_hand(self) -> ColumnElement[bool]:
        """The image, if no other attempt has refused or ended it, or noted another file."""
        return (
            (Image.id == self.image_id)
            & BEING_DONE
            & Image.sha256.is_not_distinct_from(self.sha256)
            & Image.reason_code.is_(None)
        )

    def tile_key(self, sha256: str) -> str:
        """Named so that who knows the image can tell its tiles in a list of all (`is_tile`).

        Half of the name is made of the other half. To everybody else it says nothing of the image.
        """
        name = self._hash(sha256)
        return keys.tile(self.project_id, name + self._hash(name), self.policy.format.suffix)

    def is_tile(self, key: str) -> bool:
        name = PurePosixPath(key).stem
        return name[32:] == self._hash(name[:32])

    def thumbnail_key(self, sha256: str) -> str:
        return keys.thumbnail(self.project_id, self.image_id, sha256, "jpg")

    def _hash(self, of: str) -> str:
        return hashlib.sha256(self.image_id.bytes + bytes.fromhex(of)).hexdigest()[:32]


async def read_job(context: JobContext, image_id: UUID) -> Job | None:
    """None if there is nothing left to do."""
    async with db.reading(context.sessions) as reader:
        row = (
            await reader.execute(
                select(Image, Project.slicing, Organisation.import_bucket)
                .join(Project, Project.id == Image.project_id)
                .join(Organisation, Organisation.id == Project.organisation_id)
                .where(Image.id == image_id, BEING_DONE)
            )
        ).one_or_none()
    if row is None:
        return None
    image, slicing, import_bucket = row
    return Job(
        image.id,
        image.project_id,
        image.sha256,
        image.source_key,
        import_bucket,
        SlicePolicy(**{**slicing, "format": TileFormat(slicing["format"])}),
        is_resumed=image.sha256 is not None,
        is_refused=image.reason_code is not None,
    )
