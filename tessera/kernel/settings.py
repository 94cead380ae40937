"""Configuration, read once at a process's entry point and passed down as values."""

from datetime import timedelta

from pydantic import HttpUrl, PostgresDsn, RedisDsn, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Everything the environment decides. What is missing stops the process at start."""

    # what is wrong with a setting is said without its value: it may be a secret
    model_config = SettingsConfigDict(env_prefix="TESSERA_", frozen=True, hide_input_in_errors=True)

    database_url: PostgresDsn
    database_pool_size: int = 10
    redis_url: RedisDsn

    s3_endpoint: HttpUrl
    s3_public_endpoint: HttpUrl | None = None
    """Where browsers reach the store, if that is another address than ours."""
    s3_access_key: str
    s3_secret_key: SecretStr
    s3_bucket: str
    s3_region: str = "us-east-1"

    api_host: str = "127.0.0.1"
    api_port: int = 8000
    metrics_port: int = 0
    """Where a worker serves /metrics; 0 takes any free port."""

    session_lifetime: timedelta = timedelta(days=14)
    upload_link_lifetime: timedelta = timedelta(hours=1)
    download_link_lifetime: timedelta = timedelta(minutes=5)
    tile_link_lifetime: timedelta = timedelta(hours=1)
    """Of the pictures of leases: long, so that a slow phone can load them again."""
    fee_basis_points: int = 2000
    """What the platform adds to each price: 2000 is 20 %."""
    decisions_every: timedelta = timedelta(minutes=10)
    """Earners hear about approved answers together, at multiples of this: whose time they were
    approved at exactly would tell gold from other tasks. Zero is at once, for tests."""
    rate_limits: bool = True
