"""What the three servers have in common: a port, a start, a wait, a stop."""

import errno
import os
import time
from abc import ABC, abstractmethod
from dataclasses import replace
from typing import ClassVar

from deploy.embedded.places import Places, Say, is_free
from deploy.embedded.process import Child, Program, StartFailed

_PORT_ATTEMPTS = 3
_SHORT_LIVES = 3
_STEADY = 60.0
_TAKEN = os.strerror(errno.EADDRINUSE).lower()


class Server(ABC):
    """One server. `start` returns at once, so that several can come up side by side."""

    name: ClassVar[str]
    preferred_port: ClassVar[int]
    patience: ClassVar[float] = 30.0

    def __init__(self, places: Places, *, say: Say) -> None:
        self.places = places
        self.say = say
        self.port = 0
        self._child: Child | None = None
        self._began = 0.0
        self._short_lives = 0

    @abstractmethod
    def prepare(self) -> None:
        """Make what must exist before the first start; harmless when it does."""

    @abstractmethod
    def program(self) -> Program:
        """What to run on `self.port`."""

    @abstractmethod
    def why_not_ready(self) -> str | None:
        """Use it once, with its password: somebody else's server must not pass for ours."""

    def start(self) -> None:
        self._began = time.monotonic()
        self.port = self.places.port(self.name, self.preferred_port)
        program = replace(self.program(), patience=self.patience)
        self._child = Child(program, self.places, say=self.say)

    def wait(self) -> None:
        """Wait until it serves.

        Raises:
            StartFailed: It does not, and not because its port was taken.
        """
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            child = self._started()
            try:
                child.wait_until_ready(self.why_not_ready, self.patience)
            except StartFailed as failure:
                # Between our look and the server's bind somebody else may have taken the port,
                # and given it back since.
                taken = _TAKEN in failure.detail.lower() or not is_free(self.port)
                if child.exit_status is None or not taken or attempt == _PORT_ATTEMPTS:
                    raise
                self.start()
            else:
                return

    def revive(self) -> None:
        """Start it again where it was, if it has ended.

        Raises:
            StartFailed: It does not come up, not at its old port, or does not stay up.
        """
        child, port = self._started(), self.port
        if child.exit_status is None:
            return
        steady = time.monotonic() - self._began > _STEADY
        self._short_lives = 1 if steady else self._short_lives + 1
        if self._short_lives > _SHORT_LIVES:
            raise StartFailed(child.obituary())
        self.say(f"! {child.obituary()}")
        self.start()
        self.wait()
        if self.port != port:
            raise StartFailed(f"{self.name} is back, but port {port} was taken meanwhile.")

    def stop(self) -> None:
        if self._child:
            self._child.stop()

    def _started(self) -> Child:
        if self._child is None:
            raise RuntimeError(f"{self.name} has not been started.")
        return self._child
