"""What an operator decides about slicing and quality, and which values make sense."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tessera.truth.stopping import target_of

Share = Annotated[float, Field(ge=0, le=0.5, allow_inf_nan=False)]
Probability = Annotated[float, Field(ge=0.5, lt=1, allow_inf_nan=False)]

ClassId = Annotated[str, Field(pattern="^[1-9][0-9]{0,9}$")]
"""As text: keys of JSON are."""
Weight = Annotated[float, Field(gt=0, le=1_000, allow_inf_nan=False)]

TRUST_TO_VERIFY = 0.75
"""Minimum trust of a project that verifies, if none is set. Half of its gold is shown wrong, so who
says yes to everything is right half of the time: by 0.6, a third of them get past sixty gold."""


class Policy(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class SlicingFields(Policy):
    """Each by itself makes sense; a change may name some of them."""

    whole: bool = False
    tile: int = Field(512, ge=128, le=4096)
    """Side of a window in pixels."""
    margin: int = Field(32, ge=0, le=1024)
    """Context around a core on each side, pixels; part of the window."""
    format: Literal["jpeg", "png", "webp"] = "jpeg"
    quality: int = Field(90, ge=30, le=100)


class Slicing(SlicingFields):
    """How images are cut. With `whole`, an image is one tile, and the rest is how it is stored."""

    @model_validator(mode="after")
    def _core_is_left(self) -> Self:
        if not self.whole and self.tile - 2 * self.margin < self.tile // 4:
            raise ValueError(
                "the margins leave less than a quarter of the tile's side for its core"
            )
        return self


class QualityFields(Policy):
    """Each by itself makes sense; a change may name some of them."""

    gold_share: Share = 0.1
    """Part of an experienced earner's tasks that are gold."""
    min_overlap: int = Field(2, ge=1, le=20)
    max_overlap: int = Field(5, ge=1, le=50)
    redo: int = Field(2, ge=0, le=20)
    """Further answers a task may get in place of rejected ones."""
    target_confidence: Probability = 0.95
    wrong_label_micro: int | None = Field(None, ge=1, le=10**15)
    """What a wrong label costs the operator: where it is given, the target confidence follows."""
    minimum_trust: Probability = 0.6
    gold_exposure: int = Field(30, ge=1, le=10**6)
    """So many people see one picture of a task whose answer is known; then another takes its place,
    if one can be made."""
    may_flip: bool = False
    """Whether it may be mirrored: not where writing is read, or left and right differ."""
    importance: dict[ClassId, Weight] = Field({}, max_length=1_000)
    """By class: how many times what a wrong label usually costs one costs that is wrong about it.
    Reviewers see what costs most first. Classes that are not named count once."""
    second_opinions: Share = 0.1
    """Part of what reviewers decide that another one is asked about, who does not see the first."""
    training_tasks: int = Field(5, ge=1, le=50)
    """Of one attempt at a project's training: so many of the tasks marked for it, or all."""
    training_pass: float = Field(0.8, gt=0, le=1, allow_inf_nan=False)
    """Part of an attempt that has to be right."""
    training_places: int = Field(50, ge=1, le=10_000)
    """People who can pass the training, and are paid for it; if it has any tasks."""


class Quality(QualityFields):
    """How many people are asked, how sure is sure enough, and who may go on."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.min_overlap > self.max_overlap:
            raise ValueError("min_overlap is above max_overlap")
        return self

    def target(self, answer_micro: int) -> float:
        """Confidence from which nobody else is asked.

        Args:
            answer_micro: What one answer costs, with the fee.
        """
        if self.wrong_label_micro is None:
            return self.target_confidence
        return target_of(price=answer_micro, wrong_label=self.wrong_label_micro)

    @property
    def places(self) -> int:
        """Answers to one task that may at most be paid."""
        return self.max_overlap + self.redo
