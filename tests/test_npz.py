"""`.npz` archives of anybody: whatever is in them, they are read or told in one line, and nothing large is expanded."""

import contextlib
import io
import os
import struct
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simplexlab import memory
from simplexlab.errors import UsageError
from simplexlab.npz import read_arrays

ARRAY = np.arange(24, dtype=np.int16).reshape(2, 3, 4)


def npy(array=ARRAY, version=(1, 0)) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version)
    return file.getvalue()


def with_header(header: str, content: bytes = b"") -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + content


def archive(path, compression=zipfile.ZIP_STORED, **members: bytes):
    with zipfile.ZipFile(path, "w", compression) as zipped:
        for name, content in members.items():
            zipped.writestr(f"{name}.npy", content)
    return path


@pytest.fixture
def path(tmp_path):
    return tmp_path / "made.npz"


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize(
    "array",
    [
        ARRAY,
        np.asfortranarray(ARRAY),
        ARRAY.astype(">f8"),
        np.zeros((0, 5)),
        np.array(3.5),
        np.array([True]),
        np.array("x"),
    ],
)
def test_arrays_are_those_of_numpy(path, array, compression):
    archive(path, compression, a=npy(array), b=npy(array, (2, 0)))
    for read in read_arrays(path, ["a"], ["b", "c"]).values():
        assert read.dtype == array.dtype
        np.testing.assert_array_equal(read, array)
        read[...] = read  # it can be written to, as NumPy's own


def test_a_link_and_the_home_folder_are_followed(path, tmp_path, monkeypatch):
    archive(path, a=npy())
    (tmp_path / "link.npz").symlink_to(path)
    monkeypatch.setenv("HOME", str(tmp_path))
    np.testing.assert_array_equal(read_arrays("~/link.npz", ["a"])["a"], ARRAY)


HUGE = "{'descr': '<f8', 'fortran_order': False, 'shape': (%s), }"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a is damaged or no array of numbers: its header cannot be read"),
        (b"no array", "a is damaged or no array of numbers"),
        (npy()[:40], "a is damaged or no array of numbers"),
        (npy()[:-1], "a is damaged: an array of int16 of shape 2×3×4 has 48 bytes, and there are 47"),
        (npy() + b"x", "has 48 bytes, and there are 49"),
        (with_header(HUGE % "1000000000, 1000000000"), "has 8,000,000,000,000,000,000 bytes, and there are 0"),
        (with_header(HUGE % "-1, -1", bytes(8)), "a is damaged: an array of float64 of shape -1×-1"),
        (with_header(HUGE % "0, 99999999999999999999"), "a is damaged"),
        (with_header(HUGE % ("1, " * 70), bytes(8)), "a is damaged"),
        (with_header("{'descr': '<f8'}"), "its header cannot be read"),
        (with_header("{'descr': 'nonsense', 'fortran_order': False, 'shape': (1,)}"), "its header cannot be read"),
        (with_header("(" * 5000), "its header cannot be read"),
        (with_header("__import__('os').abort()"), "its header cannot be read"),
        (npy(np.array([{}], object)), "a holds pickled objects"),
    ],
)
def test_members_that_are_no_arrays(path, content, message):
    told(archive(path, a=content), message)


def told(path, message):
    with pytest.raises(UsageError, match=message.replace("(", r"\(").replace(")", r"\)")) as raised:
        read_arrays(path, ["a"])
    text = str(raised.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    assert len(text) < len(str(path)) + 200


def patched(path, offset_in_local: int, offset_in_central: int, value: int):
    """Change a 16-bit field of the only member, in both of its headers."""
    content = bytearray(path.read_bytes())
    central = content.index(b"PK\x01\x02")
    for place in (offset_in_local, central + offset_in_central):
        content[place : place + 2] = struct.pack("<H", value)
    path.write_bytes(content)
    return path


def test_encrypted_and_unknown_compression(path):
    told(patched(archive(path, a=npy()), 6, 8, 1), "a is encrypted; save it without a password")
    told(patched(archive(path, a=npy()), 8, 10, 97), "a is damaged (That compression method is not supported)")


def test_changed_byte_and_cut_archive(path):
    content = bytearray(archive(path, a=npy()).read_bytes())
    content[content.index(npy()) + len(npy()) - 1] ^= 1
    path.write_bytes(content)
    told(path, "a is damaged (Bad CRC-32")
    path.write_bytes(content[:100])
    told(path, "it is not a .npz archive")


def test_a_zip_bomb_is_refused_before_it_is_expanded(path, monkeypatch):
    bomb = np.zeros(20_000_000, np.uint8)
    np.savez_compressed(path, a=bomb, b=bomb)
    assert path.stat().st_size < 100_000
    monkeypatch.setattr(memory, "memory_limit", lambda: 15_000_000)
    told(path, "a needs 19 MiB of memory, and there are 14 MiB")
    monkeypatch.setattr(memory, "memory_limit", lambda: 30_000_000)
    with pytest.raises(UsageError, match="b beside the other arrays needs 38 MiB"):
        read_arrays(path, ["a", "b"])


def test_a_size_that_is_not_true(path):
    whole = npy(np.zeros(1000))
    with_less = archive(path, zipfile.ZIP_DEFLATED, a=whole)
    content = bytearray(with_less.read_bytes())
    central = content.index(b"PK\x01\x02")
    for place in (22, central + 24):  # the expanded size
        content[place : place + 4] = struct.pack("<I", len(whole) + 8 * 2**20)
    path.write_bytes(content)
    told(path, "a is damaged")


def test_pipes_devices_folders_and_files_that_are_not_there(path, tmp_path):
    os.mkfifo(path)
    told(path, "cannot be read: it is not a file")
    told(tmp_path, "cannot be read: it is not a file")
    with pytest.raises(UsageError, match="/dev/zero cannot be read: it is not a file"):
        read_arrays("/dev/zero", ["a"])
    told(tmp_path / "nothing.npz", "does not exist")
    (tmp_path / "loop.npz").symlink_to(tmp_path / "loop.npz")
    told(tmp_path / "loop.npz", "cannot be read")


def test_what_it_holds_is_told_in_short(path):
    archive(path, **{f"array{number}": npy() for number in range(100)})
    told(path, "lacks a; it must hold a (it holds array0, array1,")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_change_of_an_archive_ends_in_anything_else(path, data):
    archive(path, data.draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])), a=npy(), b=npy(ARRAY[0]))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)) | st.just(len(content)))])
    with contextlib.suppress(UsageError):
        assert set(read_arrays(path, ["a", "b"])) == {"a", "b"}
