"""Who said what of which item, as arrays."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Indices = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

UNKNOWN = -1
"""In place of the class of an item whose truth is not known."""


def sums(where: Indices, what: Floats | None, size: int) -> Floats:
    """Shape (size,): what is added up at each place, or how often each is named."""
    return np.asarray(np.bincount(where, what, minlength=size), dtype=np.float64)


@dataclass(frozen=True)
class Votes:
    """N answers to a question with K choices.

    Raises:
        ValueError: An index is out of range, or the arrays differ in length.
    """

    items: Indices
    """Shape (N,), in 0 .. n_items - 1; likewise the other two."""
    earners: Indices
    labels: Indices
    n_items: int
    n_earners: int
    n_classes: int

    def __post_init__(self) -> None:
        for name, most in (
            ("items", self.n_items),
            ("earners", self.n_earners),
            ("labels", self.n_classes),
        ):
            values = getattr(self, name)
            if values.shape != self.items.shape or values.ndim != 1:
                raise ValueError(f"{name} must have one number for each answer")
            if len(values) and not 0 <= values.min() <= values.max() < most:
                raise ValueError(f"{name} must lie in 0 .. {most - 1}")

    def __len__(self) -> int:
        return len(self.items)

    def only(self, which: Flags | Indices) -> "Votes":
        """Some of the answers, among the same items, earners and classes."""
        return Votes(
            self.items[which],
            self.earners[which],
            self.labels[which],
            self.n_items,
            self.n_earners,
            self.n_classes,
        )

    def first_each(self) -> Flags:
        """Shape (N,): the first answer of each earner to each item; nobody counts twice."""
        pair = self.items * self.n_earners + self.earners
        first = np.zeros(len(self), dtype=bool)
        first[np.unique(pair, return_index=True)[1]] = True
        return first

    @cached_property
    def per_item(self) -> Indices:
        """Shape (n_items,): how many answers there are."""
        return np.bincount(self.items, minlength=self.n_items)

    @cached_property
    def tally(self) -> Floats:
        """Shape (n_items, K): how many say which."""
        flat = self.items * self.n_classes + self.labels
        return sums(flat, None, self.n_items * self.n_classes).reshape(-1, self.n_classes)

    @cached_property
    def sayings(self) -> "sparse.csr_array":
        """Shape (n_items, n_earners * K): 1 where an earner said a class of an item."""
        column = self.earners * self.n_classes + self.labels
        shape = (self.n_items, self.n_earners * self.n_classes)
        return sparse.csr_array((np.ones(len(self)), (self.items, column)), shape=shape)
