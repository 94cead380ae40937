"""What request and response bodies have in common."""

from typing import Annotated, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

T = TypeVar("T")

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Micro = Annotated[int, Field(strict=True, gt=0, le=10**15)]
"""Micro-units of a currency: a whole number above zero, up to a billion units."""
Deposited = Annotated[int, Field(strict=True, gt=0, le=10**17)]
"""Up to a hundred billion units, as a dollar is 25,000 of some. Programs that read numbers as
doubles still have each hundredth right."""
Currency = Annotated[str, StringConstraints(pattern="^[A-Z]{3}$")]


class In(BaseModel):
    """A request body: what it does not name is refused, not ignored."""

    model_config = ConfigDict(extra="forbid")


class Out(BaseModel):
    """A response body: an explicit list of what may leave."""

    model_config = ConfigDict(from_attributes=True)


class PageOut(Out, Generic[T]):
    items: list[T]
    next: str | None
    """Cursor of the next page; none on the last."""
