"""What a process says when it is not set up right."""

import pytest
from pydantic import ValidationError

from tessera.kernel.settings import Settings


def test_a_wrong_setting_is_named_and_no_value_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TESSERA_DATABASE_URL", "postgres//tessera:top-secret@db/tessera")
    monkeypatch.setenv("TESSERA_S3_SECRET_KEY", "top-secret")
    with pytest.raises(ValidationError) as refusal:
        Settings()
    assert "database_url" in str(refusal.value)
    assert "secret" not in str(refusal.value)
