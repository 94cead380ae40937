"""A boto3 client that gives up in time and tells nobody what it signs."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from tessera.storage.errors import ObjectNotFound, StorageRefused, StorageUnavailable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_ATTEMPTS = 3


@dataclass(frozen=True, kw_only=True)
class Access:
    """Where the objects are, and by what right.

    Attributes:
        endpoint: URL at which our own processes reach the store.
        public_endpoint: URL at which browsers reach it, if that is another one.
    """

    endpoint: str
    access_key: str
    secret_key: str = field(repr=False)
    bucket: str
    region: str = "us-east-1"
    public_endpoint: str | None = None


def connect(
    access: Access,
    endpoint: str,
    *,
    connections: int,
    connect_timeout: timedelta,
    read_timeout: timedelta,
) -> "S3Client":
    """A client for `endpoint`; nothing is sent yet.

    Each attempt has its own time-outs, and there are three. Checksums only where S3 demands them:
    simpler stores answer a part of an object with the checksum of the whole. The store is never
    reached by way of a proxy: the variables that name one are about other traffic.
    """
    _silence()
    config = Config(
        signature_version="s3v4",
        s3={"addressing_style": "path"},
        max_pool_connections=connections,
        connect_timeout=connect_timeout.total_seconds(),
        read_timeout=read_timeout.total_seconds(),
        proxies={},  # None would be those of the environment
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint.rstrip("/"),
        aws_access_key_id=access.access_key,
        aws_secret_access_key=access.secret_key,
        region_name=access.region,
        config=config,
    )


@contextmanager
def in_our_words() -> Iterator[None]:
    """Turn boto's errors into ours.

    The original is not chained: its text holds URLs, and tracebacks go to the log.

    Raises:
        ObjectNotFound: The bucket is there, the object is not.
        StorageRefused: Credentials, quota, no bucket.
        StorageUnavailable: Anything else that is not our own bug.
    """
    try:
        yield
    except ClientError as error:
        code = error_code(error)
        if code in {"NoSuchKey", str(HTTPStatus.NOT_FOUND.value)}:
            raise ObjectNotFound("There is no such object in the store.") from None
        detail = f"The object store refused: {code}."
        raise (StorageRefused if _is_final(error) else StorageUnavailable)(detail) from None
    except ParamValidationError:
        raise
    except BotoCoreError as error:
        raise StorageUnavailable(
            f"The object store did not answer: {type(error).__name__}."
        ) from None


def error_code(error: ClientError) -> str:
    """S3's word for it, or the HTTP status where an answer to HEAD had no room for a word."""
    return error.response["Error"].get("Code", "no reason given")


def _is_final(error: ClientError) -> bool:
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    passing = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}
    return status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in passing


def _silence() -> None:
    """At DEBUG these loggers write each URL and signature."""
    for name in ("boto3", "botocore", "s3transfer", "urllib3"):
        logging.getLogger(name).setLevel(logging.INFO)
