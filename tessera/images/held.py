"""What becomes of images and imports whose job was given up on: nobody shall wait for ever."""

from uuid import UUID

from tessera.images import imports, refusing
from tessera.kernel import db, jobs
from tessera.storage.context import JobContext

MOST_HELD = 10_000


async def fail_held(context: JobContext) -> None:
    """Refuse them. If such a job is set going again, it finds nothing to do.

    A refused image can be sent again, and is the errand of another job then: hence `alone`.
    """
    async with db.reading(context.sessions) as reader:
        held = await jobs.held(reader, limit=MOST_HELD, prefix="images.", alone=True)
    payloads = [job.payload for job in held]
    await imports.give_up(context, [UUID(p["import_id"]) for p in payloads if "import_id" in p])
    await refusing.give_up(context, [UUID(p["image_id"]) for p in payloads if "image_id" in p])
