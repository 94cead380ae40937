from tessera.kernel.errors import Invalid, NotFound, Unavailable


class StorageUnavailable(Unavailable):
    """The store is down, too slow, or refuses us: credentials, quota, no bucket."""

    code = "storage-unavailable"


class StorageRefused(StorageUnavailable):
    """It did answer, and will say the same again until somebody changes it."""


class ObjectNotFound(NotFound):
    code = "object-not-found"


class ObjectTooLarge(Invalid):
    code = "object-too-large"
