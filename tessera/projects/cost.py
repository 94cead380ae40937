"""What a project can cost, before a cent of it is spent."""

from dataclasses import dataclass

from tessera.projects.policies import Quality

LEAST_GOLD_PLACES = 20
"""So many earners can meet each gold task at least, however small the project."""
MOST_GOLD_PLACES = 10_000
"""And at most, however large: nobody meets one twice, so more would only bind money."""
EXPECTED_EXTRA = 0.35
"""Of the answers between minimum and maximum overlap, the part that is usually asked for."""


@dataclass(frozen=True)
class Cost:
    """Micro-units of the project's currency, fees included."""

    best_micro: int
    expected_micro: int
    worst_micro: int
    training_micro: int = 0
    """Of the worst case, what everybody earns who can pass the training."""


def gold_places(tasks: int, gold_tasks: int, quality: Quality) -> int:
    """Places of each gold task: enough for the gold share of all answers there may ever be."""
    if gold_tasks == 0:
        return 0
    answers = tasks * quality.places
    share = quality.gold_share
    needed = answers * share / (1 - share)
    enough = -int(-needed // gold_tasks)
    return min(max(LEAST_GOLD_PLACES, enough), MOST_GOLD_PLACES)


def cost(
    tasks: int,
    gold_tasks: int,
    quality: Quality,
    *,
    unit_micro: int,
    places_per_gold: int | None = None,
    trained: int = 0,
    questions: int = 0,
) -> Cost:
    """Cost of tasks not launched yet.

    Args:
        tasks: Tasks whose answer is not known.
        gold_tasks: Tasks whose answer is known.
        unit_micro: Price and fee of one answer.
        places_per_gold: As an earlier launch fixed it; else what `gold_places` says.
        trained: People who can pass a training.
        questions: That each of them is paid for.
    """
    if places_per_gold is None:
        places_per_gold = gold_places(tasks, gold_tasks, quality)
    share = quality.gold_share if gold_tasks else 0
    extra = EXPECTED_EXTRA * (quality.max_overlap - quality.min_overlap)
    best = tasks * quality.min_overlap
    expected = tasks * (quality.min_overlap + extra) / (1 - share)
    worst = tasks * quality.places + gold_tasks * places_per_gold
    # no task is done by fewer people than its minimum overlap; who is expected, the operator said
    least, training = min(trained, quality.min_overlap) * questions, trained * questions
    return Cost(
        best_micro=(best + least) * unit_micro,
        expected_micro=(min(round(expected), worst) + training) * unit_micro,
        worst_micro=(worst + training) * unit_micro,
        training_micro=training * unit_micro,
    )
