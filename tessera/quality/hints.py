"""What is wrong with an answer, said without giving a place away: pure."""

from tessera.kinds import Tally


def hint(tally: Tally) -> str:
    """Sentences for the earner, by counts alone.

    Args:
        tally: Of their answer, beside the label.
    """
    missing, in_vain = round(tally.there - tally.found), round(tally.drawn - tally.found)
    said = []
    if missing:
        said.append(f"{_objects(missing)} missing, or of another class.")
    if in_vain:
        said.append(f"{_objects(in_vain)} drawn where there is nothing of that class.")
    return " ".join(said) or "All objects are found, but not drawn exactly enough."


def _objects(count: int) -> str:
    return "1 object is" if count == 1 else f"{count} objects are"
