"""What `simplexlab sweep` tells before it runs anything."""

import pytest


@pytest.mark.parametrize(
    ("setting", "told"),
    [("jit=on", "--jit works on one device"), ("batch-size=30,31", "--batch-size 31 does not divide among 2 replicas")],
)
def test_an_option_that_does_not_go_with_the_devices_is_told_once(simplexlab, tmp_path, setting, told):
    folder = tmp_path / "sweep"
    code, out, err = simplexlab("sweep", "--set", setting, "--devices", "cpu:2", "--run-dir", folder)
    assert (code, out) == (2, "")
    assert told in err
    assert len(err.splitlines()) == 1
    assert not folder.exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--scheduler", "local:2", "--jobs", "2"], "--jobs does not go with --scheduler"),
        (["--scheduler", "localhost:8786"], "--scheduler 'localhost:8786' is not understood; it takes the address"),
        (["--scheduler", "local:2", "--devices", "gpu"], "--devices 'gpu' is not understood"),
        (["--scheduler", "tcp://127.0.0.1:1", "--devices", "cpu:2", "--set", "jit=on"], "--jit works on one device"),
    ],
)
def test_a_wrong_scheduler_leaves_nothing_behind(simplexlab, tmp_path, words, told):
    pytest.importorskip("distributed")
    folder = tmp_path / "sweep"
    code, out, err = simplexlab("sweep", *words, "--run-dir", folder)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert told in err
    assert not folder.exists()
