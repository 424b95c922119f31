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
