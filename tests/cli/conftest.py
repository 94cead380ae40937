import pytest

from tests.cli.running import Shell


@pytest.fixture
def tessera(capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(capsys)
