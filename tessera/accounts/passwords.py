"""Argon2id, in a few threads of its own: a flood of logins queues here and nowhere else."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

# OWASP Password Storage Cheat Sheet (2025): 19 MiB, two passes, one lane
_hasher = PasswordHash((Argon2Hasher(time_cost=2, memory_cost=19 * 1024, parallelism=1),))
_threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="argon2")
_nobody = _hasher.hash("the password of nobody")


async def hashed(password: str) -> str:
    return await asyncio.get_running_loop().run_in_executor(_threads, _hasher.hash, password)


async def matches(password: str, password_hash: str | None) -> bool:
    """Whether the password is right; as slow for an account that does not exist."""
    right = await asyncio.get_running_loop().run_in_executor(
        _threads, _hasher.verify, password, password_hash or _nobody
    )
    return right and password_hash is not None
