"""What became of a file: the first of what was refused, of what was left out, and was taken."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import func, insert, update
from sqlalchemy.ext.asyncio import AsyncSession

from tessera.formats.protocol import Known
from tessera.kernel import db
from tessera.quality.known import Row
from tessera.quality.models import AnnotationImport, AnnotationImportState, ImportLine, Purpose
from tessera.quality.reading import MOST_REFUSALS, lines_of, plain

MOST_TAKEN = 10_000
"""Images that are told one by one."""
LINES_AT_ONCE = 1_000
_COUNTS = ("tasks", "left_tasks", "untold_tiles")


class Report:
    """Grows on disk while a file is looked at, and in the database when that is done."""

    def __init__(self, made: AnnotationImport, refused: Path, left_out: Path) -> None:
        """Begin one of nothing.

        Args:
            refused: Where the reader writes what it refuses.
            left_out: And what it leaves out of what it takes.
        """
        self.refused = 0
        self.short: set[str] = set()
        """Images of which something was refused."""
        self._made, self._refused, self._left_out = made, refused, left_out
        self._number = self._left_out_count = 0
        self._images = 0
        self._counts = dict.fromkeys(_COUNTS, 0)
        self._last: dict[str, Any] | None = None
        self._lines: list[dict[str, Any]] = []

    def refuse(self, known: Known, code: str, why: str) -> None:
        """Refuse all that was said of an image, once."""
        if known.name in self.short:
            return
        self.refused += 1
        self.short.add(known.name)
        if self.refused <= MOST_REFUSALS:
            line = {"at": known.at, "image": known.name, "code": code, "reason": why}
            with self._refused.open("ab") as out:
                out.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))

    async def begin(self, session: AsyncSession) -> None:
        """Write what was refused, and what was left out of the images that are taken."""
        await self._tell_refused(session)
        for of_image in lines_of(self._left_out):
            if of_image["image"] not in self.short:
                self._left_out_count += of_image["count"]
                for each in of_image["lines"]:
                    await self._add(session, **each)

    async def _tell_refused(self, session: AsyncSession) -> None:
        for each in lines_of(self._refused) if self._refused.exists() else ():
            await self._add(session, **each)

    async def take(
        self,
        session: AsyncSession,
        name: str,
        at: str,
        tiles: int,
        rows: Sequence[Row],
        taken: Collection[UUID],
    ) -> None:
        """Note some tiles of an image; those of one image come one after another."""
        gold = self._made.purpose is Purpose.GOLD
        untold = sum((each.expected if gold else each.subject) is None for each in rows)
        tasks = sum(each.task_id in taken for each in rows)
        counts = {"tasks": tasks, "left_tasks": tiles - tasks - untold, "untold_tiles": untold}
        for each, count in counts.items():
            self._counts[each] += count
        if self._last is not None and self._last["image"] == name:
            self._last |= {each: self._last[each] + counts[each] for each in _COUNTS}
            return
        await self._next(session)
        self._images += 1
        self._last = {"at": at, "image": name, **counts}

    async def _next(self, session: AsyncSession) -> None:
        if self._last is not None and self._images <= MOST_TAKEN:
            await self._add(session, **self._last)
        self._last = None

    async def _add(self, session: AsyncSession, *, at: str, **line: Any) -> None:
        self._number += 1
        self._lines.append(
            {
                **dict.fromkeys(("code", "reason")),
                **dict.fromkeys(_COUNTS, 0),
                **line,
                "import_id": self._made.id,
                "number": self._number,
                "at": at,
            }
        )
        if len(self._lines) == LINES_AT_ONCE:
            await self._flush(session)

    async def _flush(self, session: AsyncSession) -> None:
        if self._lines:
            await session.execute(insert(ImportLine), self._lines)
            self._lines = []

    async def end_done(self, session: AsyncSession) -> None:
        await self._next(session)
        await self._flush(session)
        await self._end(
            session,
            state=AnnotationImportState.DONE,
            images=self._images,
            left_out=self._left_out_count,
            **self._counts,
        )

    async def end_refused(self, sessions: db.Sessions, code: str, why: str) -> None:
        """Say why nothing was taken, and of which records."""
        self._number, self._lines = 0, []
        async with db.transaction(sessions) as session:
            told = {"reason_code": code, "reason": plain(why)}
            if await self._end(session, state=AnnotationImportState.REFUSED, **told):
                await self._tell_refused(session)
                await self._flush(session)

    async def _end(self, session: AsyncSession, **how: object) -> bool:
        """Whether it was not over before."""
        running = AnnotationImport.state == AnnotationImportState.RUNNING
        ended = await session.scalar(
            update(AnnotationImport)
            .where(AnnotationImport.id == self._made.id, running)
            .values(
                refused_records=self.refused,
                finished_at=func.now(),
                **how,
            )
            .returning(AnnotationImport.id)
            .execution_options(synchronize_session=False)
        )
        return ended is not None
