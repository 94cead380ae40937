"""Structured logs: static event names, facts as fields, ids bound at the door; no row values."""

import logging
import sys
import traceback
from collections.abc import Iterator
from types import TracebackType

import structlog
from structlog.typing import EventDict, Processor

from tessera.kernel.errors import DomainError

log = structlog.get_logger()


def configure_logging() -> None:
    """JSON lines on stdout.

    What the standard library logs goes the same way, and so does what ends the process.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_values,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stdout),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
            foreign_pre_chain=[_first_line, *shared],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    sys.excepthook = _ended


def describe(error: BaseException) -> str:
    """An exception in one line that may be kept, as `place` may."""
    name, ours = type(error).__qualname__, _our_words(error)
    return f"{name}: {ours}" if ours else " ".join(filter(None, [name, *_refusal(error)]))


def place(error: BaseException) -> dict[str, str]:
    """What broke and where, as fields of a log line.

    Without messages but our own: others quote what they were given, Postgres the row and
    SQLAlchemy the parameters.
    """
    state, constraint = _refusal(error)
    frames = [
        "".join([*traceback.format_tb(each.__traceback__), describe(each)])
        for each in _chain(error)
    ]
    facts = {
        "error": type(error).__qualname__,
        "detail": _our_words(error),
        "sqlstate": state,
        "constraint": constraint,
        "traceback": "\n\nafter\n\n".join(frames),
    }
    return {name: fact for name, fact in facts.items() if fact is not None}


def _our_words(error: BaseException) -> str | None:
    if isinstance(error, DomainError):
        return error.detail
    return error.strerror if isinstance(error, OSError) else None


def _refusal(error: BaseException) -> tuple[str | None, str | None]:
    """The SQLSTATE and the constraint, wherever in the chain the driver's own error is."""
    for each in _chain(error):
        if hasattr(each, "constraint_name"):
            return getattr(each, "sqlstate", None), each.constraint_name
    return None, None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, those it consists of, and those that led to it."""
    waiting, seen = [error], set[int]()
    while waiting:
        each = waiting.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        if isinstance(each, BaseExceptionGroup):
            waiting.extend(each.exceptions)
        before = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
        if before is not None:
            waiting.append(before)


def _without_values(_logger: object, _method: str, event: EventDict) -> EventDict:
    found = event.pop("exc_info", None)
    if isinstance(found, tuple):
        found = found[1]
    elif found and not isinstance(found, BaseException):
        found = sys.exc_info()[1]
    return {**place(found), **event} if found else event


def _first_line(_logger: object, _method: str, event: EventDict) -> EventDict:
    """The further lines of asyncio's messages quote the exception, which is shown by its place."""
    return {**event, "event": event["event"].partition("\n")[0]}


def _ended(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if not issubclass(kind, Exception):  # Ctrl-C
        sys.__excepthook__(kind, error, trace)
    else:
        log.critical("process ended", exc_info=error)
