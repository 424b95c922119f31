"""What `simplexlab sweep` tells before it runs anything, and where it is interrupted."""

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


def test_an_interrupted_sweep_says_what_stays_and_how_to_go_on(simplexlab, tmp_path, tiny_npz, monkeypatch):
    from simplexlab.sweep import pool

    def stopped(sweep, experiments, placement, report, poll):
        for state in ("started", "stopped"):
            report(pool.Event(experiments[0].name, state))
        raise KeyboardInterrupt

    monkeypatch.setattr("simplexlab.sweep.execute", stopped)
    words = ("--losses", "ce", "--corruptions", "0,0.2", "--seeds", "1", "--set", f"dataset={tiny_npz}")
    folder = tmp_path / "sweep"
    code, out, err = simplexlab("sweep", *words, "--devices", "cpu", "--run-dir", folder)
    assert (code, out) == (130, "")
    first, last = err.splitlines()
    assert first.startswith("1/2 ce-0-s0 stopped in ")
    assert " left" not in first
    assert last == (
        f"simplexlab: interrupted; 0 of the 2 runs of {folder} are done; the same command goes on with the others"
    )
    assert (folder / "sweep.json").exists()
