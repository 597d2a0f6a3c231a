"""The other browsers, one after the other, for the test files that use them.

A test file gets the fixture by the line ``pytest_plugins = ["engine_fixtures"]``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from engines import ENGINES, Engine, NoEngineError


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """One browser for all tests of the file."""
    try:
        with ENGINES[request.param]() as engine:
            yield engine
    except NoEngineError as error:
        if os.environ.get("REQUIRE_BROWSER"):
            pytest.fail(str(error))
        pytest.skip(str(error))
