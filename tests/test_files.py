import errno
import os
import socket
import threading

import pytest

from simplexlab.files import (
    LARGEST_TEXT,
    is_own_folder,
    is_temporary,
    kind_of,
    make_folder,
    open_file,
    read_file,
    read_json,
    reason,
    replace_file,
    replacing,
)


@pytest.fixture
def others(tmp_path):
    """What is no file, by its kind, and the file that the link leads to."""
    target = tmp_path / "target"
    target.write_bytes(b"precious")
    (tmp_path / "link").symlink_to(target)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "dangling").symlink_to(tmp_path / "not there")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(tmp_path / "socket"))
    server.close()
    yield tmp_path
    assert target.read_bytes() == b"precious"
    assert not (tmp_path / "not there").exists()


KINDS = ("link", "loop", "dangling", "pipe", "folder", "socket")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_WRONLY, os.O_RDWR | os.O_CREAT, os.O_WRONLY | os.O_APPEND])
@pytest.mark.timeout(20)
def test_only_files_are_opened(others, kind, flags):
    with pytest.raises(OSError, match=r".") as error:
        open_file(others / kind, flags)
    assert str(others / kind) in str(error.value)


def test_what_is_there_is_named(others):
    told = {"target": "a file", "link": "a file", "pipe": "a pipe", "folder": "a folder", "socket": "a socket"}
    told |= {"dangling": "a link that leads to nothing", "loop": "a link that leads in a circle"}
    assert {name: kind_of(others / name) for name in told} == told
    assert kind_of("/dev/null") == "a device"
    with pytest.raises(FileNotFoundError):
        kind_of(others / "not there")


@pytest.mark.parametrize("device", ["/dev/null", "/dev/zero", "/dev/tty"])
def test_no_device_is_opened(device):
    with pytest.raises(OSError, match=r"not a file|No such"):
        open_file(device)


@pytest.mark.parametrize("kind", ["link", "loop", "dangling"])
def test_a_link_is_replaced_and_not_followed(others, kind):
    replace_file(others / kind, b"new")
    assert not (others / kind).is_symlink()
    assert (others / kind).read_bytes() == b"new"


@pytest.mark.parametrize("kind", ["pipe", "folder", "socket"])
def test_what_is_no_file_is_not_replaced(others, kind):
    before = sorted(os.listdir(others))
    mode = (others / kind).stat().st_mode
    with pytest.raises(OSError, match="not a file"):
        replace_file(others / kind, b"new")
    assert (others / kind).stat().st_mode == mode
    assert sorted(os.listdir(others)) == before


def test_names_of_temporaries_cannot_be_guessed_and_are_known_again(tmp_path):
    seen = set()
    for suffix in ("", ".json", ".npz", ".keras", "." + "é" * 200):
        for _ in range(3):
            name = "x" if len(suffix) > 50 else f"file{suffix}"
            with replacing(tmp_path / name) as temporary:
                assert temporary.exists()
                assert temporary.parent == tmp_path
                assert is_temporary(temporary.name)
                seen.add(temporary.name)
    assert len(seen) == 15
    for name in (".lock", ".config.json.tmp", "a.tmp", ".claims", ".launch-12", ".0123.tmp"):
        assert not is_temporary(name)


def test_what_fails_leaves_what_was_there(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"old")

    def fail_half_way():
        with replacing(file) as temporary:
            temporary.write_bytes(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_half_way()
    assert file.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_readers_see_the_old_or_the_new(tmp_path):
    file = tmp_path / "file"
    replace_file(file, b"a" * 5000)
    stop, seen = threading.Event(), set()

    def read():
        while not stop.is_set():
            seen.add(bytes(set(read_file(file))))

    reader = threading.Thread(target=read)
    reader.start()
    for letter in (b"a", b"b") * 200:
        replace_file(file, letter * 5000, sync=False)
    stop.set()
    reader.join()
    assert seen <= {b"a", b"b"}


def test_a_folder_is_no_link_to_one(others):
    (others / "elsewhere").symlink_to(others / "folder")
    make_folder(others / "folder")
    make_folder(others / "made")
    assert is_own_folder(others / "made")
    for name in ("elsewhere", "target", "pipe"):
        assert not is_own_folder(others / name)
        with pytest.raises(NotADirectoryError):
            make_folder(others / name)


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(LARGEST_TEXT + 1)
    with pytest.raises(OSError, match="more than"):
        read_file(tmp_path / "sparse")
    (tmp_path / "whole").write_bytes(b"abc" * 100_000)
    assert read_file(tmp_path / "whole") == b"abc" * 100_000


@pytest.mark.parametrize("content", ["{half", "", "[" * 100_000, "1" * 5000, b"\xff"])
def test_what_is_no_json_is_no_value(tmp_path, content):
    file = tmp_path / "file"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=r"."):
        read_json(file)
    file.write_text('{"a": [1]}')
    assert read_json(file) == {"a": [1]}


def test_a_reason_comes_with_what_helps():
    assert reason(OSError(errno.ENOSPC, "No space left on device")) == (
        "No space left on device; free some space, or choose another folder"
    )
    assert reason(OSError(errno.EACCES, "Permission denied")) == "Permission denied"
    assert reason(OSError()) == "OSError"


def test_a_working_directory_that_is_gone_is_the_reason(tmp_path, monkeypatch):
    missing = [FileNotFoundError(errno.ENOENT, "No such file", name) for name in ("x", None, str(tmp_path / "x"))]
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    assert [reason(error) for error in missing] == ["No such file"] * 3
    (tmp_path / "gone").rmdir()
    told = "the working directory was deleted; change to one that exists"
    assert [reason(error) for error in missing] == [told, told, "No such file"]
