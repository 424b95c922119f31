"""Damaged arrays, archives and image folders: what a file can be that is not what it should be."""

import gzip
import io
import os
import shutil
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from hypothesis import strategies as st

ARRAY_KEYS = {"data.npz": ("x_train", "y_train", "x_test", "y_test"), "points.npz": ("z", "y", "w")}
# Of the file as a whole, of one member of it, and of the values of one array.
FILE_DAMAGE = ("cut", "flip", "empty", "text", "gzip", "tar", "pipe", "folder", "link to nothing", "no zip", "missing")
MEMBER_DAMAGE = (
    "encrypted",
    "compression",
    "header",
    "literal",
    "version",
    "shape",
    "negative",
    "bomb",
    "pickle",
    "raw",
)
VALUE_DAMAGE = (
    "nan",
    "infinite",
    "huge",
    "text dtype",
    "complex",
    "datetime",
    "structured",
    "scalar",
    "no rows",
    "fewer rows",
    "more axes",
    "column",
    "float",
    "big-endian",
    "minus one",
    "truth",
    "half",
    "zeros",
    "gap",
)
ARRAY_DAMAGE = FILE_DAMAGE + MEMBER_DAMAGE + VALUE_DAMAGE
# Of these no command may make anything but an error.
NEVER_READ = frozenset(
    {
        "cut",
        "missing",
        "empty",
        "text",
        "gzip",
        "tar",
        "pipe",
        "folder",
        "link to nothing",
        "no zip",
        "encrypted",
        "compression",
    }
    | {"header", "literal", "version", "shape", "negative", "bomb", "pickle", "raw", "text dtype", "complex"}
    | {"datetime", "structured", "scalar", "fewer rows", "more axes"}
)
LITERALS = (
    "{'descr': '<f8', 'fortran_order': False, 'shape': (" + "9" * 400 + ",)}",
    "{'descr': '<f8', 'fortran_order': False, 'shape': (2, -3)}",
    "{'descr': '|O', 'fortran_order': False, 'shape': (2,)}",
    "{'descr': '<f8', 'shape': (2,)}",
    "{'descr': [('a', '<f8'), 1], 'fortran_order': 0, 'shape': (2,)}",
    "__import__('os').abort()",
    "{" * 3000,
    "(" + "1," * 5000 + ")",
    "\x1b[2J",
)


def array_damages() -> st.SearchStrategy[tuple[str, int, int]]:
    """What is done, to which member of the archive, and a number that says where."""
    return st.tuples(st.sampled_from(ARRAY_DAMAGE), st.integers(0, 10), st.integers(0, 10**6))


def damage_archive(path: Path, kind: str, member: int, number: int) -> None:
    """Damage an `.npz` file.

    Args:
        path: the file, whole.
        kind: one of `ARRAY_DAMAGE`.
        member: which array, modulo their number.
        number: where, or how.
    """
    if kind in FILE_DAMAGE:
        _damage_file(path, kind, number)
        return
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    name = sorted(arrays)[member % len(arrays)]
    if kind in VALUE_DAMAGE:
        arrays[name] = _changed(arrays[name], kind, number)
        np.savez(path, **arrays)
        return
    members = {key: _npy(array) for key, array in arrays.items()}
    members[name] = _damaged_member(members[name], kind, number)
    with zipfile.ZipFile(path, "w") as archive:
        for key, content in members.items():
            deflated = zipfile.ZIP_DEFLATED if kind == "bomb" else zipfile.ZIP_STORED
            archive.writestr(f"{key}.npy", content, deflated)
    if kind in ("encrypted", "compression"):
        _patch_directory(path, f"{name}.npy", kind)


def _damage_file(path: Path, kind: str, number: int) -> None:
    content = bytearray(path.read_bytes())
    path.unlink()
    if kind == "cut":
        path.write_bytes(content[: number % len(content)])
    elif kind == "flip":
        content[number % len(content)] ^= 1 << (number % 8)
        path.write_bytes(content)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "link to nothing":
        path.symlink_to("nowhere.npz")
    elif kind == "tar":
        with tarfile.open(path, "w:gz") as archive:
            archive.addfile(tarfile.TarInfo("../../outside/file"), io.BytesIO())
    elif kind != "missing":
        made = {
            "empty": b"",
            "text": b"a,b\n1,2\n",
            "gzip": gzip.compress(content),
            "no zip": b"PK\x03\x04" * number_of(number),
        }
        path.write_bytes(made[kind])


def number_of(number: int) -> int:
    """A small number, at least 1."""
    return 1 + number % 200


def _damaged_member(content: bytes, kind: str, number: int) -> bytes:
    if kind in ("encrypted", "compression"):
        return content
    if kind == "raw":
        return b"no array at all"[: number % 16]
    if kind == "header":
        return content[: number % 60]
    if kind == "version":
        return content[:6] + bytes([3 + number % 250, 0]) + content[8:]
    if kind == "pickle":
        file = io.BytesIO()
        np.save(file, np.array([{"a": 1}], dtype=object), allow_pickle=True)
        return file.getvalue()
    if kind == "bomb":
        return _header(f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({10**15},)}}") + bytes(10**6)
    if kind == "shape":
        shape = ("1" * (1 + number % 30) + ",") * (1 + number % 40) + "7, 11"
        return _header(f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({shape})}}") + bytes(64)
    if kind == "negative":
        return _header("{'descr': '<f8', 'fortran_order': False, 'shape': (-1, 3)}") + bytes(64)
    return _header(LITERALS[number % len(LITERALS)]) + bytes(64)


def _header(text: str) -> bytes:
    encoded = text.encode() + b"\n"
    return b"\x93NUMPY\x02\x00" + struct.pack("<I", len(encoded)) + encoded


def _npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array(file, array)
    return file.getvalue()


def _patch_directory(path: Path, name: str, kind: str) -> None:
    """Mark a member as encrypted, or as compressed in a way that nobody knows, at both places that say so."""
    content = bytearray(path.read_bytes())
    for signature, flags, method, length, names in ((b"PK\3\4", 6, 8, 26, 30), (b"PK\1\2", 8, 10, 28, 46)):
        place = -1
        while (place := content.find(signature, place + 1)) >= 0:
            size = struct.unpack_from("<H", content, place + length)[0]
            if content[place + names : place + names + size] == name.encode():
                where, value = (flags, 1) if kind == "encrypted" else (method, 97)
                struct.pack_into("<H", content, place + where, value)
    path.write_bytes(content)


def _changed(array: np.ndarray, kind: str, number: int) -> np.ndarray:
    def with_value(value: float) -> np.ndarray:
        changed = array.astype(float) / 255 if array.ndim > 2 else array.astype(float)
        changed.flat[number % changed.size] = value
        return changed

    whole = array.copy()
    if kind in ("minus one", "gap"):
        whole = whole.astype(np.int64)
        whole.flat[number % whole.size] = -1 if kind == "minus one" else 10**9
    changes = {
        "nan": lambda: with_value(np.nan),
        "infinite": lambda: with_value(-np.inf),
        "huge": lambda: with_value(1e300),
        "text dtype": lambda: array.astype(str),
        "complex": lambda: array.astype(complex),
        "datetime": lambda: array.astype("datetime64[s]"),
        "structured": lambda: np.zeros(len(array), [("a", float), ("b", int)]),
        "scalar": lambda: np.array(3),
        "no rows": lambda: array[:0],
        "fewer rows": lambda: array[:-1],
        "more axes": lambda: array.reshape(*array.shape, *([1] * (5 - array.ndim))),
        "column": lambda: array.reshape(*array.shape, 1),
        "float": lambda: array.astype(np.float32) / (255 if array.ndim > 2 else 1),
        "big-endian": lambda: array.astype(array.dtype.newbyteorder(">")),
        "truth": lambda: array.astype(bool),
        "half": lambda: array + 0.5,
        "zeros": lambda: np.zeros_like(array),
        "minus one": lambda: whole,
        "gap": lambda: whole,
    }
    return changes[kind]()


IMAGE_DAMAGE = (
    "cut",
    "empty",
    "text",
    "bomb",
    "pipe",
    "link to nothing",
    "loop",
    "folder",
    "size",
    "sixteen bits",
    "animation",
    "cmyk",
    "turned",
    "palette",
    "webp",
    "name",
    "hidden",
    "empty class",
    "no class",
    "train only",
    "idx",
    "flip",
    "svg",
    "postscript",
)
NO_IMAGES = frozenset({"text", "bomb", "size", "sixteen bits", "empty class", "no class", "idx"})


def image_damages() -> st.SearchStrategy[tuple[str, int, int]]:
    """What is done to an image folder, to which of its images, and a number that says where."""
    return st.tuples(st.sampled_from(IMAGE_DAMAGE), st.integers(0, 5), st.integers(0, 10**6))


def write_images(folder: Path) -> None:
    """Write an image folder: two classes of three images of 8×8 pixels."""
    from PIL import Image

    generator = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (folder / name).mkdir(parents=True)
        for index in range(3):
            Image.fromarray(generator.integers(0, 255, (8, 8, 3), np.uint8)).save(folder / name / f"{index}.png")


def damage_images(folder: Path, kind: str, image: int, number: int) -> None:
    """Damage an image folder.

    Args:
        folder: the folder, as `write_images` makes it.
        kind: one of `IMAGE_DAMAGE`.
        image: which of its images.
        number: where, or how.
    """
    from PIL import Image

    path = sorted(folder.rglob("*.png"))[image]
    content = bytearray(path.read_bytes())
    pixels = Image.open(io.BytesIO(bytes(content))).convert("RGB")
    path.unlink()
    if kind == "cut":
        path.write_bytes(content[: number % len(content)])
    elif kind == "flip":
        content[number % len(content)] ^= 1 << (number % 8)
        path.write_bytes(content)
    elif kind in ("empty", "text", "svg", "postscript"):
        suffix = {"svg": ".svg", "postscript": ".eps"}.get(kind, ".png")
        words = {
            "empty": b"",
            "text": b"a picture\x1b[2J",
            "svg": b"<svg/>",
            "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n",
        }
        path.with_suffix(suffix).write_bytes(words[kind])
    elif kind == "bomb":  # a PNG whose header tells of 50,000 × 50,000 pixels
        content[16:24] = struct.pack(">II", 50_000, 50_000)
        path.write_bytes(content)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "link to nothing":
        path.symlink_to("nowhere.png")
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "size":
        pixels.resize((9 + number % 3, 8)).save(path)
    elif kind == "sixteen bits":
        Image.fromarray(np.full((8, 8), number % 2**16, np.uint16)).save(path)
    elif kind == "animation":
        pixels.save(path.with_suffix(".gif"), save_all=True, append_images=[pixels.rotate(90)] * 3)
    elif kind == "cmyk":
        pixels.convert("CMYK").save(path.with_suffix(".jpg"))
    elif kind == "turned":
        exif = Image.Exif()
        exif[0x0112] = number % 12
        pixels.save(path.with_suffix(".jpg"), exif=exif)
    elif kind == "palette":
        pixels.convert("P").save(path, transparency=number % 256)
    elif kind == "webp":
        pixels.save(path.with_suffix(".webp"))
    elif kind == "name":
        pixels.save(path.with_name(("\x1b[2J.png", "‮gnp.png", "é" * 100 + ".png", "[red].png", "a b.PNG")[number % 5]))
    elif kind == "hidden":
        pixels.save(path.with_name(".hidden.png"))
    elif kind == "empty class":
        (folder / "eel").mkdir()
    elif kind == "no class":
        shutil.rmtree(folder / "dog")
    elif kind == "train only":
        (folder / "train").mkdir()
        for name in ("cat", "dog"):
            (folder / name).rename(folder / "train" / name)
    elif kind == "idx":
        (folder / "train-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 0x803, number, 8, 8) + bytes(content))
