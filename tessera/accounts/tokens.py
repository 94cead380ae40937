"""Opaque random tokens. Only their SHA-256 is ever stored: 256 random bits need no slow hash."""

import hashlib
import secrets

SESSION = "tss_"
API_KEY = "tsk_"
INVITATION = "tsi_"


def new(prefix: str) -> str:
    return prefix + secrets.token_urlsafe(32)


def digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
