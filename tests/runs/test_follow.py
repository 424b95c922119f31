import errno
import json
import os
import time
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simplexlab.runs import MetricsFollower, RunsFollower, RunWriter, read_metrics
from simplexlab.runs import follow as follow_module
from simplexlab.runs.read import DEAD_MESSAGE


def line(iteration, **more) -> bytes:
    return json.dumps({"iteration": iteration, **more}).encode() + b"\n"


def iterations(records) -> list[int]:
    return [record["iteration"] for record in records]


@pytest.fixture
def metrics(tmp_path):
    """A function that appends to a metrics file, or replaces it."""

    def write(content: bytes, mode: str = "ab"):
        with open(tmp_path / "metrics.jsonl", mode) as file:
            file.write(content)

    return write


class TestMetricsFollower:
    def test_each_poll_gives_the_new_lines(self, tmp_path, metrics):
        follower = MetricsFollower(tmp_path)
        assert follower.poll() == []
        metrics(line(1) + line(2))
        assert iterations(follower.poll()) == [1, 2]
        assert follower.poll() == []
        metrics(line(3))
        assert iterations(follower.poll()) == [3]
        assert iterations(follower.records) == [1, 2, 3]
        assert (follower.lines, follower.restarts) == (3, 0)

    def test_a_half_written_line_waits_for_its_end(self, tmp_path, metrics):
        follower = MetricsFollower(tmp_path)
        whole = line(2, text="é")
        metrics(line(1) + whole[:-3])
        assert iterations(follower.poll()) == [1]
        metrics(whole[-3:-1])
        assert follower.poll() == []
        metrics(b"\n")
        assert follower.poll() == [{"iteration": 2, "text": "é"}]

    @pytest.mark.parametrize("bad", [b"\n", b"nonsense\n", b"[1]\n", b"\xff\n", b"[" * 10_000 + b"\n", b"null\n"])
    def test_a_line_that_is_no_object_is_passed_over(self, tmp_path, metrics, bad):
        follower = MetricsFollower(tmp_path)
        metrics(line(1) + bad)
        assert iterations(follower.poll()) == [1]
        metrics(bad + line(2) + bad)
        assert iterations(follower.poll()) == [2]
        assert follower.restarts == 0

    def test_nan_as_other_programs_write_it_is_read(self, tmp_path, metrics):
        metrics(b'{"iteration": 1, "loss": NaN, "bound": -Infinity}\n')
        assert read_metrics(tmp_path) == [{"iteration": 1, "loss": None, "bound": None}]

    def test_every_line_is_held_against_the_statement(self, tmp_path, metrics):
        follower = MetricsFollower(tmp_path)
        metrics(line(1, loss=2.0, test_error="low", new_key=[3]) + line(2, loss=[1]) + line("3") + line(-4) + line(5))
        assert follower.poll() == [{"iteration": 1, "loss": 2.0, "new_key": [3]}, {"iteration": 2}, {"iteration": 5}]
        assert follower.unreadable == 4

    def test_what_was_read_is_not_read_again(self, tmp_path, metrics):
        follower = MetricsFollower(tmp_path)
        metrics(line(1) + line(2))
        follower.poll()
        # Were line 1 read again, it would be seen to have changed.
        metrics(line(9) + line(2) + line(3), "wb")
        assert iterations(follower.poll()) == [3]
        assert follower.restarts == 0

    def test_a_cut_file_is_followed_from_its_beginning(self, tmp_path, metrics):
        follower = MetricsFollower(tmp_path)
        metrics(line(1) + line(2) + line(3))
        follower.poll()
        metrics(line(1) + line(2), "wb")
        assert iterations(follower.poll()) == [1, 2]
        assert iterations(follower.records) == [1, 2]
        assert follower.restarts == 1

    def test_a_file_that_was_cut_and_grew_again_is_noticed(self, tmp_path, metrics):
        follower = MetricsFollower(tmp_path)
        metrics(line(1, seconds=1.5) + line(2, seconds=2.5))
        follower.poll()
        metrics(line(1, seconds=1.5) + line(2, seconds=2.7) + line(3, seconds=3.5), "wb")
        assert iterations(follower.poll()) == [1, 2, 3]
        assert follower.restarts == 1

    def test_a_resumed_run_is_followed(self, tmp_path):
        with RunWriter.create(tmp_path, "a", {}, total=1) as writer:
            for iteration in (0, 10, 20):
                writer.log_metrics({"iteration": iteration})
        follower = MetricsFollower(writer.path)
        follower.poll()
        with RunWriter.reopen(writer.path) as writer:
            writer.rewind(10)
            assert iterations(follower.poll()) == [0, 10]
            writer.log_metrics({"iteration": 20})
            assert iterations(follower.poll()) == [20]
        assert follower.restarts == 1

    def test_a_removed_file_leaves_nothing(self, tmp_path, metrics):
        follower = MetricsFollower(tmp_path)
        metrics(line(1))
        follower.poll()
        os.unlink(tmp_path / "metrics.jsonl")
        assert follower.poll() == []
        assert (follower.records, follower.restarts) == ([], 1)
        assert follower.poll() == []
        assert follower.restarts == 1
        metrics(line(7))
        assert iterations(follower.poll()) == [7]

    def test_what_cannot_be_opened_is_empty(self, tmp_path):
        (tmp_path / "metrics.jsonl").mkdir()
        assert MetricsFollower(tmp_path).poll() == []
        assert read_metrics(tmp_path / "metrics.jsonl") == []

    @settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        texts=st.lists(st.text(max_size=8) | st.just("bad"), max_size=12),
        cuts=st.lists(st.integers(0, 400), max_size=8),
        block=st.integers(1, 50),
    )
    def test_however_the_file_grows_every_line_comes_once(self, tmp_path, texts, cuts, block):
        path = tmp_path / "metrics.jsonl"
        path.write_bytes(b"")
        parts = [b"nonsense\n" if text == "bad" else line(index, text=text) for index, text in enumerate(texts)]
        content = b"".join(parts)
        follower = MetricsFollower(tmp_path)
        seen = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(follow_module, "BLOCK", block)
            for start, stop in zip([0, *sorted(cuts)], [*sorted(cuts), len(content)], strict=True):
                with open(path, "ab") as file:
                    file.write(content[start:stop])
                seen += follower.poll()
        assert seen == follower.records
        assert seen == [json.loads(part) for part in parts if part != b"nonsense\n"]


class TestThinning:
    @settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        lengths=st.lists(st.integers(0, 40), min_size=1, max_size=12),
        most=st.integers(2, 20),
        block=st.integers(5, 200),
    )
    def test_evenly_spaced_lines_and_the_newest_are_kept(self, tmp_path, lengths, most, block):
        path = tmp_path / "metrics.jsonl"
        path.write_bytes(b"")
        follower = MetricsFollower(tmp_path, most=most)
        total = 0
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(follow_module, "BLOCK", block)
            for length in lengths:
                with open(path, "ab") as file:
                    file.writelines(line(number) for number in range(total, total + length))
                total += length
                follower.poll()
                kept = iterations(follower.records)
                assert len(kept) <= most + 1
                assert kept[:1] == [0] * (total > 0)
                assert kept[-1:] == [total - 1] * (total > 0)
                assert len({after - before for before, after in pairwise(kept[:-1])}) <= 1
                assert len(kept) >= min(total, most / 2)
        assert follower.lines == total

    def test_a_short_file_is_kept_whole(self, tmp_path, metrics):
        metrics(b"".join(map(line, range(50))))
        follower = MetricsFollower(tmp_path, most=50)
        follower.poll()
        assert iterations(follower.records) == list(range(50))

    def test_lines_that_are_not_kept_are_not_parsed(self, tmp_path, metrics, monkeypatch):
        metrics(b"".join(map(line, range(10_000))))
        parsed = []
        monkeypatch.setattr(follow_module, "parse_line", lambda text: parsed.append(text) or json.loads(text))
        MetricsFollower(tmp_path, most=100).poll()
        assert len(parsed) <= 101

    def test_fewer_than_two_are_refused(self, tmp_path):
        with pytest.raises(ValueError, match="at least 2"):
            MetricsFollower(tmp_path, most=1)


def edit(path, **changes):
    temporary = path.with_name("edited")
    temporary.write_text(json.dumps(json.loads(path.read_text()) | changes))
    os.replace(temporary, path)


class TestRunsFollower:
    @pytest.fixture
    def writers(self, tmp_path):
        writers = [RunWriter.create(tmp_path, name, {}, total=10) for name in ("a", "b")]
        yield writers
        for writer in writers:
            writer.close()

    def test_changes_are_seen(self, tmp_path, writers):
        follower = RunsFollower(tmp_path)
        assert [run.name for run in follower.poll()] == ["a", "b"]
        writers[0].set_status("running", 5)
        writers[1].log_metrics({"iteration": 3})
        a, b = follower.poll()
        assert (a.status.iteration, b.metrics) == (5, {"iteration": 3})
        writers[0].save_result({"run": "a"})
        writers[0].set_status("finished", 10)
        assert follower.poll()[0].result == {"run": "a"}
        with RunWriter.create(tmp_path, "c", {}, total=1) as third:
            assert [run.name for run in follower.poll()] == ["a", "b", "c"]
            third.discard()
        assert [run.name for run in follower.poll()] == ["a", "b"]

    def test_what_did_not_change_is_not_read_again(self, tmp_path, writers, monkeypatch):
        for writer in writers:
            writer.set_status("finished", 10)
            writer.close()
        follower = RunsFollower(tmp_path)
        before = follower.poll()
        monkeypatch.setattr(follow_module, "read_as_written", None)
        after = follower.poll()
        assert all(one is other for one, other in zip(before, after, strict=True))

    def test_a_process_that_dies_without_a_word_is_noticed(self, tmp_path, writers):
        follower = RunsFollower(tmp_path)
        assert follower.poll()[0].status.state == "running"
        writers[0].close()
        status = follower.poll()[0].status
        assert (status.state, status.message) == ("failed", DEAD_MESSAGE)

    def test_signs_of_life_count_whatever_the_clocks_say(self, tmp_path, writers, monkeypatch):
        path = writers[0].path / "status.json"
        writers[0].close()
        now = time.monotonic()
        monkeypatch.setattr(follow_module.time, "monotonic", lambda: now)

        def state(seconds, **changes):
            nonlocal now
            now += seconds
            edit(path, **changes)
            return follower.poll()[0].status.state

        follower = RunsFollower(tmp_path)
        assert state(0, host="elsewhere", heartbeat=0, sequence=7) == "failed"  # a clock that is far behind
        assert state(2, sequence=8) == "running"  # and yet it lives
        assert state(50) == "running"
        assert state(50) == "failed"  # no sign of life for 100 seconds
        assert state(1, sequence=9, heartbeat=2e10) == "running"
        assert state(70) == "failed"  # a clock far ahead does not keep it alive

    def test_a_run_folder_that_goes_away_while_it_is_read(self, tmp_path, writers, monkeypatch):
        follower = RunsFollower(tmp_path)
        original = follow_module.run_paths
        monkeypatch.setattr(follow_module, "run_paths", lambda path: [*original(path), tmp_path / "gone"])
        assert [run.status.state for run in follower.poll()] == ["running", "running", "missing"]


def test_a_folder_that_can_no_longer_be_read_is_told_and_what_is_known_stays(tmp_path, monkeypatch):
    RunWriter.create(tmp_path, "a", {}, total=1).close()
    follower = RunsFollower(tmp_path)
    assert [run.name for run in follower.poll()] == ["a"]
    with monkeypatch.context() as changed:
        changed.setattr(follow_module, "run_paths", _denied)
        assert [run.name for run in follower.poll()] == ["a"]
        assert follower.problem == f"{tmp_path} cannot be read: Permission denied"
    follower.poll()
    assert follower.problem is None


def _denied(path):
    raise PermissionError(errno.EACCES, "Permission denied", str(path))
