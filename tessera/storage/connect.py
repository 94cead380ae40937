"""From settings to stores."""

from tessera.kernel.settings import Settings
from tessera.storage.s3 import Access, Store


def store_of(settings: Settings, bucket: str | None = None) -> Store:
    """The store's main bucket, or another one of the same server."""
    public = settings.s3_public_endpoint
    return Store(
        Access(
            endpoint=str(settings.s3_endpoint),
            access_key=settings.s3_access_key,
            secret_key=settings.s3_secret_key.get_secret_value(),
            bucket=bucket or settings.s3_bucket,
            region=settings.s3_region,
            public_endpoint=str(public) if public else None,
        )
    )
