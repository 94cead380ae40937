from tessera.kernel.errors import Conflict, Invalid


class ImageNameTaken(Conflict):
    code = "image-name-taken"


class UnsupportedContentType(Invalid):
    code = "unsupported-content-type"


class NoImportBucket(Conflict):
    code = "no-import-bucket"


class ProjectCompleted(Conflict):
    code = "project-completed"
