"""A user's state folder for each test, and a process that has executed nothing yet."""

import pytest

from simplexlab.objectives import own


@pytest.fixture(autouse=True)
def _new_user(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
    own.forget()
    own._allowed.clear()
    yield
    own.forget()
    own._allowed.clear()


@pytest.fixture
def another_user(tmp_path_factory, monkeypatch):
    """From the call on, everything is as in a new process of somebody who has run nothing yet."""

    def become():
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        own.forget()
        own._allowed.clear()

    return become
