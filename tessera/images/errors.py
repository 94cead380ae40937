from tessera.kernel.errors import Conflict, Invalid


class ImageNameTaken(Conflict):
    code = "image-name-taken"


class BadImageName(Invalid):
    code = "bad-image-name"


class UnsupportedContentType(Invalid):
    code = "unsupported-content-type"


class FilesRefused(Invalid):
    """None of the announced files could be taken; each says why."""

    code = "files-refused"


class NoImportBucket(Conflict):
    code = "no-import-bucket"


class LaterStage(Conflict):
    """The images of a chain are those of its first stage."""

    code = "later-stage"


class ProjectCompleted(Conflict):
    code = "project-completed"
