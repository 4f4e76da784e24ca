import os

import pytest


@pytest.fixture(scope="session")
def model_cache(tmp_path_factory):
    """One cache of compiled models for all workers of a run, apart from the user's."""
    root = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    return root / "models"


@pytest.fixture(autouse=True)
def _use_model_cache(model_cache, monkeypatch):
    monkeypatch.setenv("INTAGLIO_CACHE", str(model_cache))
