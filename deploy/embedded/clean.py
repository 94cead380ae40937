"""What `rm -rf var` would leave behind: databases that lie outside of it (see `pghome`)."""

import shutil
import sys
from contextlib import ExitStack
from pathlib import Path

from deploy.embedded.pghome import NOTE
from deploy.embedded.places import AlreadyRunning, Places, Say


def discard_outside(var: Path, *, say: Say) -> None:
    """Remove the databases that root folders in `var`, or `var` itself, have outside of it.

    One that says that it belongs to another root folder stays: a copy of a checkout has the same
    links as the original.

    Raises:
        AlreadyRunning: One of the root folders is in use. Nothing was removed.
    """
    roots = [path.parent for path in (var / "run", *var.glob("*/run")) if path.is_dir()]
    with ExitStack() as alone:
        for root in roots:
            alone.enter_context(Places(root.resolve()).alone())
        for root in roots:
            link = root / "postgres"
            if link.is_symlink() and link.exists():
                _discard(link.resolve(), root.resolve(), say)


def _discard(home: Path, root: Path, say: Say) -> None:
    note = home / NOTE
    if note.is_file() and note.read_text() == str(root):
        say(f"· removing {home}")
        shutil.rmtree(home)
    else:
        say(f"! left in place, since it does not say that it belongs to {root}: {home}")


if __name__ == "__main__":
    try:
        discard_outside(Path(__file__).parents[2] / "var", say=print)
    except AlreadyRunning as error:
        sys.exit(f"! {error.detail}")
