"""Objects in any S3-compatible store; boto3 in threads of its own, so that nothing else waits.

Written for the weakest store there is: see docs/decisions/0003-object-storage.md.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec, TypeVar

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from tessera.kernel import db
from tessera.storage.client import Access, connect, error_code, in_our_words
from tessera.storage.disposition import attachment
from tessera.storage.errors import ObjectTooLarge, StorageUnavailable

__all__ = ["Access", "Fetched", "Listed", "Store"]

P = ParamSpec("P")
T = TypeVar("T")

_MEBIBYTE = 1024 * 1024
_DELETE_AT_ONCE = 1000
# Parts one after another: an upload holds one thread and one part, the least that S3 takes
_UPLOAD = TransferConfig(
    multipart_threshold=16 * _MEBIBYTE, multipart_chunksize=5 * _MEBIBYTE, use_threads=False
)


class Listed(NamedTuple):
    key: str
    size: int


class Fetched(NamedTuple):
    sha256: str
    size: int


class Store:
    """One bucket.

    Every coroutine raises StorageUnavailable when the store does not do its part in time, and
    NetworkCallInTransaction inside a transaction. A cancelled call goes on in its thread: what it
    was to write may still appear.
    """

    def __init__(
        self,
        access: Access,
        *,
        threads: int = 16,
        connect_timeout: timedelta = timedelta(seconds=3),
        read_timeout: timedelta = timedelta(seconds=30),
    ) -> None:
        self._bucket = access.bucket
        self._region = access.region
        self._client = connect(
            access,
            access.endpoint,
            connections=threads,
            connect_timeout=connect_timeout,
            read_timeout=read_timeout,
        )
        self._signer = self._client
        if access.public_endpoint:  # the host is part of what is signed; this one never connects
            self._signer = connect(
                access,
                access.public_endpoint,
                connections=1,
                connect_timeout=connect_timeout,
                read_timeout=read_timeout,
            )
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="s3")

    def close(self) -> None:
        """Drop waiting calls and wait for running ones."""
        self._pool.shutdown(cancel_futures=True)
        self._client.close()
        self._signer.close()

    async def ensure_bucket(self) -> None:
        await self._call("ensure bucket", self._ensure_bucket)

    async def allow_origin(self, origin: str) -> bool:
        """Let pages of one origin (`https://host`) use presigned URLs, and of no other.

        Returns:
            Whether the store keeps such a rule per bucket; one that does not has its own option.
        """
        return await self._call("allow origin", self._allow_origin, origin)

    async def put_file(self, key: str, path: Path, *, content_type: str) -> None:
        """Store a file: a large one in parts, one part in memory at a time."""
        await self._call("put", self._put_file, key, path, content_type)

    async def get_to_file(self, key: str, path: Path, *, max_bytes: int) -> Fetched:
        """Stream an object into a file; if that fails, no file is left.

        Raises:
            ObjectNotFound: No such object.
            ObjectTooLarge: It is longer than `max_bytes`, and was not read.
        """
        return await self._call("get", self._get_to_file, key, path, max_bytes)

    async def list(self, prefix: str) -> AsyncIterator[Listed]:
        """Objects in the order of their keys, each once; a page of 1,000 in memory at a time.

        rclone may name an object twice that several have put at the same moment.
        """
        last = None
        paginator = self._client.get_paginator("list_objects_v2")
        pages = iter(paginator.paginate(Bucket=self._bucket, Prefix=prefix))
        while (page := await self._call("list", next, pages, None)) is not None:
            for item in page.get("Contents", ()):
                if item["Key"] != last:
                    yield Listed(item["Key"], item["Size"])
                last = item["Key"]

    async def delete_many(self, keys: Iterable[str]) -> None:
        """Delete these objects; keys without one are fine."""
        every = tuple(keys)
        for start in range(0, len(every), _DELETE_AT_ONCE):
            await self._call("delete", self._delete, every[start : start + _DELETE_AT_ONCE])

    def presign_put(
        self, key: str, *, content_type: str, size: int | None = None, expires: timedelta
    ) -> str:
        """A URL to PUT one object with; until it expires, again and again.

        The store refuses another Content-Type and, if `size` (bytes) is given, another length.
        """
        signed: dict[str, Any] = {"ContentType": content_type}
        if size is not None:
            signed["ContentLength"] = size
        return self._presign("put_object", key, expires, signed)

    def presign_get(
        self, key: str, *, content_type: str, file_name: str | None = None, expires: timedelta
    ) -> str:
        """A URL to GET one object with, answered as `content_type` whatever was stored.

        Args:
            file_name: If given, browsers save the object under this name instead of showing it.
        """
        signed = {"ResponseContentType": content_type}
        if file_name is not None:
            signed["ResponseContentDisposition"] = attachment(file_name)
        return self._presign("get_object", key, expires, signed)

    def _presign(self, operation: str, key: str, expires: timedelta, signed: dict[str, Any]) -> str:
        return self._signer.generate_presigned_url(
            operation,
            Params={"Bucket": self._bucket, "Key": key, **signed},
            ExpiresIn=int(expires.total_seconds()),
        )

    async def _call(
        self, what: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        db.forbid_in_transaction(f"S3 {what}")

        def in_thread() -> T:
            with in_our_words():
                return function(*args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._pool, in_thread)

    def _ensure_bucket(self) -> None:
        try:
            self._client.head_bucket(Bucket=self._bucket)
        except ClientError as error:
            if error_code(error) != str(HTTPStatus.NOT_FOUND.value):
                raise
            self._create_bucket()

    def _create_bucket(self) -> None:
        where: dict[str, Any] = {}
        if self._region != "us-east-1":  # S3 wants the default unsaid
            where["CreateBucketConfiguration"] = {"LocationConstraint": self._region}
        try:
            self._client.create_bucket(Bucket=self._bucket, **where)
        except ClientError as error:  # two processes start at once, and both saw none
            if error_code(error) not in {"BucketAlreadyExists", "BucketAlreadyOwnedByYou"}:
                raise

    def _allow_origin(self, origin: str) -> bool:
        try:
            self._client.put_bucket_cors(
                Bucket=self._bucket,
                CORSConfiguration={
                    "CORSRules": [
                        {
                            "AllowedOrigins": [origin],
                            "AllowedMethods": ["GET", "PUT"],
                            "AllowedHeaders": ["content-type"],
                            "MaxAgeSeconds": 3600,
                        }
                    ]
                },
            )
        except ClientError as error:  # rclone takes it for the creation of a bucket
            if error_code(error) not in {"NotImplemented", "BucketAlreadyExists"}:
                raise
            return False
        return True

    def _put_file(self, key: str, path: Path, content_type: str) -> None:
        with path.open("rb") as file:
            self._client.upload_fileobj(
                file, self._bucket, key, ExtraArgs={"ContentType": content_type}, Config=_UPLOAD
            )

    def _get_to_file(self, key: str, path: Path, max_bytes: int) -> Fetched:
        digest, size = hashlib.sha256(), 0
        try:
            with path.open("wb") as file:
                for chunk in self._chunks(key, max_bytes):
                    digest.update(chunk)
                    size += file.write(chunk)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return Fetched(digest.hexdigest(), size)

    def _chunks(self, key: str, max_bytes: int) -> Iterator[bytes]:
        answer = self._client.get_object(Bucket=self._bucket, Key=key)
        with closing(answer["Body"]) as body:
            if answer["ContentLength"] > max_bytes:  # and no more than this is ever read
                raise ObjectTooLarge(
                    "The object is too large.",
                    size=answer["ContentLength"],
                    max_bytes=max_bytes,
                )
            yield from body.iter_chunks(_MEBIBYTE)

    def _delete(self, keys: tuple[str, ...]) -> None:
        answer = self._client.delete_objects(
            Bucket=self._bucket,
            Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True},
        )
        if errors := answer.get("Errors"):
            raise StorageUnavailable(
                f"{len(errors)} of {len(keys)} objects were not deleted: {errors[0].get('Code')}."
            )
