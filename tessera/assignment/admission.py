"""Who may begin to train, for how long, and when again: pure.

Nobody is trained for work that does not exist. Work is the free places in the queue; each of those
who train, or have passed within a day, is to find `LEAST_WORK` of them. A task wants several
people, and nobody gets it twice, so as many as one task may need are admitted however little there
is, as long as there is some.
"""

import math
from datetime import timedelta

LEAST_WORK = 20
"""Free places for each of those who train or have just passed."""
ADMITTED_WITHIN = timedelta(days=1)
"""Who passed longer ago counts no more: they have their share, or have gone."""
FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=10), timedelta(days=1)
SHORTEST, LONGEST = timedelta(hours=1), timedelta(days=1)
"""Of an attempt. It holds a place, and a completed project's money, for as long."""
ASK_AGAIN = timedelta(minutes=10)
"""After training was found closed."""


def most_counted(people: int) -> int:
    """Free places beyond so many make no difference to `is_enough`."""
    return LEAST_WORK * (people + 1)


def is_enough(free: int, people: int, *, at_once: int) -> bool:
    """Whether there is work for one more.

    Args:
        free: Places in the queue that anybody may take.
        people: Who trains, or passed within `ADMITTED_WITHIN` and may work.
        at_once: People whom a single task may need.
    """
    return free > 0 and (people < at_once or free >= most_counted(people))


def right_needed(share: float, questions: int) -> int:
    """The least number of right answers that is at least this share, in (0, 1]."""
    # 0.8 of 5 are 4, though 0.8 * 5 may come to a little more in floating point
    return max(1, math.ceil(round(share * questions, 6)))


def wait_after(failures: int) -> timedelta:
    """Until the next attempt, after so many have failed: longer each time, never for ever."""
    return min(FIRST_WAIT * (1 << min(failures - 1, 10)), LONGEST_WAIT)


def lasts(questions: int, lease_seconds: int) -> timedelta:
    """An attempt: as long as leases of its questions one after the other."""
    return min(max(timedelta(seconds=questions * lease_seconds), SHORTEST), LONGEST)
