import dataclasses
import functools
import hashlib
import http.server
import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
import time

import numpy as np
import pytest

from simplexlab.data import availability, load, tfds_source
from simplexlab.data.tfds_source import host_answers, import_archives
from simplexlab.errors import RunError, UsageError


@pytest.fixture
def offline(monkeypatch):
    """No host answers, and anything that asks for one beyond the probe fails the test."""

    def refuse(*arguments, **options):
        raise AssertionError(f"the network was used: {arguments}")

    monkeypatch.setattr(tfds_source, "host_answers", lambda url: False)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def sorted_pairs(images, labels):
    """Images and labels in an order of their own: TFDS shuffles what it writes."""
    order = sorted(range(len(labels)), key=lambda index: images[index].tobytes())
    return images[order], labels[order]


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_prepared_set_holds_the_images_of_the_archive(name, request, offline):
    small = request.getfixturevalue(f"small_{name}")
    dataset = load(name, small.data_dir)
    for part in ("train", "test"):
        expected = sorted_pairs(getattr(small, f"x_{part}"), getattr(small, f"y_{part}"))
        loaded = sorted_pairs(getattr(dataset, f"x_{part}"), getattr(dataset, f"y_{part}"))
        for one, other in zip(expected, loaded, strict=True):
            np.testing.assert_array_equal(one, other)
    assert dataset.image_shape == (32, 32, 3)
    names = {"cifar10": ["airplane", "automobile", "bird"], "cifar100": ["fine0", "fine1", "fine2"]}[name]
    assert list(dataset.class_names[:3]) == names
    assert availability(name, small.data_dir) == "prepared"


def test_prepared_set_is_read_in_the_same_order_each_time(small_cifar10):
    first, second = (load("cifar10", small_cifar10.data_dir) for _ in range(2))
    np.testing.assert_array_equal(first.y_train, second.y_train)
    np.testing.assert_array_equal(first.x_train, second.x_train)


def test_archive_in_the_manual_folder_is_prepared_with_no_network(small_cifar10, tmp_path, monkeypatch, offline, capfd):
    small_cifar10.register(monkeypatch)
    manual = tmp_path / "downloads" / "manual"
    manual.mkdir(parents=True)
    shutil.copy(small_cifar10.archive, manual)
    assert availability("cifar10", tmp_path) == "archives here"
    dataset = load("cifar10", tmp_path)
    assert len(dataset.y_train) == 200
    out, err = capfd.readouterr()
    assert out == ""
    assert err.splitlines() == [f"preparing cifar10 in {tmp_path}/cifar10/3.0.2"]
    assert sorted(os.listdir(tmp_path)) == ["cifar10", "downloads"]
    assert os.listdir(tmp_path / "downloads") == ["manual"]


def test_imported_archive_may_have_any_name(small_cifar100, tmp_path, monkeypatch, offline):
    small_cifar100.register(monkeypatch)
    archive = tmp_path / "archive (1).bin"
    shutil.copy(small_cifar100.archive, archive)
    source = import_archives("cifar100", [archive], tmp_path / "data")
    assert source.prepared
    assert os.listdir(tmp_path / "data") == ["cifar100"]
    import_archives("cifar100", [archive], tmp_path / "data")  # a second time changes nothing
    assert len(load("cifar100", tmp_path / "data").y_train) == 200


def test_files_of_one_name_are_not_taken_for_each_other(small_cifar10, tmp_path, monkeypatch, offline):
    # TFDS keeps extracted archives by their name, and MNIST and Fashion-MNIST share theirs.
    extracted = tmp_path / "downloads" / "extracted" / "TAR_GZ.cifar-10-binary.tar.gz"
    extracted.mkdir(parents=True)
    small_cifar10.register(monkeypatch)
    import_archives("cifar10", [small_cifar10.archive], tmp_path)
    assert len(load("cifar10", tmp_path).y_train) == 200


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda contents: contents[:-100], r"has [\d,]+ bytes, cifar-10-binary.tar.gz has [\d,]+: it is truncated"),
        (lambda contents: contents[:-1] + bytes([contents[-1] ^ 1]), "has the wrong checksum; the sha256 of"),
    ],
)
def test_damaged_archive_is_refused_and_leaves_nothing_behind(small_cifar10, tmp_path, monkeypatch, damage, message):
    small_cifar10.register(monkeypatch)
    archive = tmp_path / "cifar-10-binary.tar.gz"
    archive.write_bytes(damage(small_cifar10.archive.read_bytes()))
    with pytest.raises(UsageError, match=message):
        import_archives("cifar10", [archive], tmp_path / "data")
    assert os.listdir(tmp_path) == [archive.name]


def test_damaged_archive_in_the_manual_folder_is_named(small_cifar10, tmp_path, monkeypatch, offline):
    small_cifar10.register(monkeypatch)
    manual = tmp_path / "downloads" / "manual"
    manual.mkdir(parents=True)
    (manual / "cifar-10-binary.tar.gz").write_bytes(b"short")
    with pytest.raises(RunError, match="has 5 bytes"):
        load("cifar10", tmp_path)


def test_damaged_archive_in_the_manual_folder_does_not_stop_a_download(web, tmp_path):
    manual = tmp_path / "downloads" / "manual"
    manual.mkdir(parents=True)
    (manual / "cifar-10-binary.tar.gz").write_bytes(b"short")
    assert len(load("cifar10", tmp_path).y_train) == 200


def test_import_needs_every_archive_and_no_other(small_cifar10, tmp_path):
    with pytest.raises(UsageError, match=r"none of the archives of mnist: train-images-idx3-ubyte\.gz, "):
        import_archives("mnist", [small_cifar10.archive], tmp_path)
    with pytest.raises(UsageError, match=r"nothing\.gz does not exist"):
        import_archives("cifar10", [tmp_path / "nothing.gz"], tmp_path)
    with pytest.raises(UsageError, match="is not a file"):
        import_archives("cifar10", [tmp_path], tmp_path)


def test_import_names_the_archives_that_are_missing(tmp_path, monkeypatch):
    builder = tfds_source.TfdsSet("mnist", tmp_path).builder
    archive = tmp_path / "labels"
    archive.write_bytes(b"labels")
    infos = {
        url: dataclasses.replace(info, size=6, checksum=hashlib.sha256(b"labels").hexdigest())
        if "train-labels" in url
        else info
        for url, info in builder.url_infos.items()
    }
    monkeypatch.setattr(type(builder), "url_infos", infos)
    with pytest.raises(UsageError, match=r"mnist also needs train-images\S+, t10k-images\S+, t10k-labels\S+$"):
        import_archives("mnist", [archive], tmp_path / "data")


def test_member_outside_the_archive_writes_nothing_there(small_cifar10, tmp_path, monkeypatch, write_tar, offline):
    with tarfile.open(small_cifar10.archive) as tar:
        members = {member.name: tar.extractfile(member).read() for member in tar}
    outside = tmp_path / "outside"
    members |= {"../evil": b"evil", "../../evil": b"evil", str(outside): b"evil", "a/../../evil": b"evil"}
    archive = tmp_path / "archive.tar.gz"
    write_tar(archive, members)
    small_cifar10.register(monkeypatch, archive)
    import_archives("cifar10", [archive], tmp_path / "deep" / "data")
    found = [name for _, _, files in os.walk(tmp_path) for name in files if name in ("evil", "outside")]
    assert found == []
    assert len(load("cifar10", tmp_path / "deep" / "data").y_train) == 200


def test_failing_preparation_leaves_no_half_of_it(small_cifar10, tmp_path, monkeypatch, write_tar, offline):
    archive = tmp_path / "archive.tar.gz"
    write_tar(archive, {"cifar-10-batches-bin/data_batch_1.bin": b"\0" * 3073})
    small_cifar10.register(monkeypatch, archive)
    with pytest.raises(RunError, match="cifar10 could not be prepared in"):
        import_archives("cifar10", [archive], tmp_path / "data")
    assert os.listdir(tmp_path / "data") == []


def test_missing_data_offline_fail_at_once(tmp_path):
    code = f"""if True:
        import sys
        from simplexlab.data import load, require
        for function in (require, load):
            try:
                function("cifar10", {str(tmp_path)!r})
            except Exception as error:
                print(type(error).__name__, error)
        print("tensorflow" in sys.modules)
    """
    # A host name that no resolver knows, whether or not the machine that tests has a network.
    environment = os.environ | {"HTTPS_PROXY": "http://proxy.invalid:3128", "https_proxy": "http://proxy.invalid:3128"}
    begin = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert time.monotonic() - begin < 15  # 5 s and the start of Python on a busy machine
    first, second, imported = done.stdout.splitlines()
    assert first == second
    assert first == (
        f"RunError cifar10 is not in {tmp_path} and www.cs.toronto.edu cannot be reached; fetch"
        " https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz, then `simplexlab data import cifar10"
        f" cifar-10-binary.tar.gz` (or put it into {tmp_path}/downloads/manual)"
    )
    assert imported == "False"
    assert done.stderr == ""
    assert os.listdir(tmp_path) == []


def test_host_answers():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert host_answers(f"http://127.0.0.1:{port}/file.gz")
    assert not host_answers(f"http://127.0.0.1:{port}/file.gz")
    assert not host_answers("https://nowhere.invalid/file.gz")


def test_host_that_never_answers_is_given_up(monkeypatch):
    given_up = threading.Event()

    def wait(*arguments):
        given_up.wait(30)
        raise OSError

    monkeypatch.setattr(socket, "create_connection", wait)
    begin = time.monotonic()
    assert not host_answers("https://slow.invalid/file.gz", timeout=0.2)
    assert time.monotonic() - begin < 5
    given_up.set()


@pytest.fixture
def web(small_cifar10, monkeypatch):
    """A web server on this machine with the small archive, at the address from which TFDS fetches CIFAR-10."""
    from tensorflow_datasets.image_classification.cifar import Cifar10

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    handler = functools.partial(Handler, directory=small_cifar10.archive.parent)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/{small_cifar10.archive.name}"
        small_cifar10.register(monkeypatch)
        monkeypatch.setattr(Cifar10, "url_infos", {url: Cifar10.url_infos[small_cifar10.url]})
        original = Cifar10._cifar_info.fget
        monkeypatch.setattr(Cifar10, "_cifar_info", property(lambda self: original(self)._replace(url=url)))
        yield
        server.shutdown()
        thread.join()


def test_missing_data_are_downloaded_where_the_host_answers(web, tmp_path, capfd):
    assert len(load("cifar10", tmp_path).y_train) == 200
    out, err = capfd.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "downloading 1 MiB from 127.0.0.1",
        f"preparing cifar10 in {tmp_path}/cifar10/3.0.2",
    ]
    assert not list(tmp_path.glob(".preparing-*"))


SHARD = "cifar10-train.tfrecord-00000-of-00001"


@pytest.mark.parametrize(
    ("file", "size"),
    [(SHARD, 10_000), (SHARD, 0), (SHARD, None), ("label.labels.txt", 10), ("dataset_info.json", 300)],
)
def test_damaged_prepared_data_are_named(small_cifar10, tmp_path, offline, file, size):
    shutil.copytree(small_cifar10.data_dir, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "cifar10" / "3.0.2" / file
    if size is None:
        path.unlink()
    else:
        os.truncate(path, size)
    with pytest.raises(RunError, match=r"the prepared data of cifar10 are damaged .*; delete .*cifar10") as raised:
        load("cifar10", tmp_path)
    assert "\n" not in str(raised.value)
    assert "function_node" not in str(raised.value)


def test_changed_byte_in_prepared_data_is_noticed(small_cifar10, tmp_path, offline):
    shutil.copytree(small_cifar10.data_dir, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "cifar10" / "3.0.2" / SHARD
    contents = bytearray(path.read_bytes())
    contents[len(contents) // 2] ^= 1
    path.write_bytes(contents)
    with pytest.raises(RunError, match=r"damaged \(corrupted record"):
        load("cifar10", tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ciphar10", "dataset 'ciphar10' is unknown: did you mean cifar10"),
        ("digit", "did you mean digits"),
        ("huggingface:mnist", "is unknown"),
        ("./pictures", r"pictures does not exist in "),
        ("emnist/letterz", "emnist has no config 'letterz'; did you mean letters"),
        ("cifar10/small", "cifar10 has no config 'small'; it takes none"),
        ("ag_news_subset", "not one of 8-bit images with class labels"),
        ("voc", "not one of 8-bit images with class labels"),
        ("imagenet2012", "TFDS does not fetch imagenet2012 by itself; prepare it in"),
    ],
)
def test_names_that_cannot_be_used(name, message, tmp_path, offline):
    with pytest.raises(UsageError, match=message):
        load(name, tmp_path)


@pytest.mark.parametrize(
    ("place", "told"),
    [
        ("file", "file is a file and not a folder"),
        ("pipe", "pipe is a pipe and not a folder"),
        ("dangling", "dangling is a link that leads to nothing and not a folder"),
        ("file/below/it", "it lies in .*file, which is a file and not a folder"),
    ],
)
def test_a_data_folder_that_is_none_is_told(place, told, tmp_path, offline, monkeypatch):
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for use in (load, availability):
        with pytest.raises(UsageError, match=f"^--data-dir .*{told}$"):
            use("cifar10", tmp_path / place)
    import tensorflow_datasets as tfds

    monkeypatch.setattr(tfds.core.constants, "DATA_DIR", str(tmp_path / place))
    with pytest.raises(UsageError, match=f"^the folder of TFDS's data, .*{told}$"):
        load("cifar10")


@dataclasses.dataclass(frozen=True)
class SmallHumanLabels:
    """The files of `cifar10_n`: the archive of `small_cifar10` and those that TFDS does not fetch."""

    files: list
    worse: np.ndarray  # label of each image of the archive, in its order


@pytest.fixture
def human_labels(small_cifar10, tmp_path, monkeypatch):
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download.checksums import UrlInfo

    contents = small_cifar10.archive.read_bytes()
    info = UrlInfo(tfds.core.utils.Size(len(contents)), hashlib.sha256(contents).hexdigest(), "cifar-10-binary.tar.gz")
    monkeypatch.setattr(tfds.builder_cls("cifar10_n"), "url_infos", {small_cifar10.url: info})
    generator = np.random.default_rng(3)
    count = len(small_cifar10.y_train)
    labels = small_cifar10.y_train[:, None] + np.array([0, 0, 1, 2, 3, 4])  # clean, aggre, worse, random1 … random3
    labels[::2, 2] -= 1  # half of the worse labels are right
    labels %= 10
    order = generator.permutation(count)
    folder = tmp_path / "fetched"
    folder.mkdir()
    header = "clean_label,aggre_label,worse_label,random_label1,random_label2,random_label3"
    np.savetxt(
        folder / "CIFAR-10_human_annotations.csv", labels[order], "%d", delimiter=",", header=header, comments=""
    )
    np.savetxt(folder / "side_info_cifar10N.csv", np.ones((count // 10, 7)), delimiter=",", header="h", comments="")
    np.save(folder / "image_order_c10.npy", order)
    return SmallHumanLabels([small_cifar10.archive, *sorted(folder.iterdir())], labels[:, 2])


def test_human_labels_of_cifar10_n(human_labels, small_cifar10, tmp_path, simplexlab, offline):
    data = tmp_path / "data"
    options = ("--data-dir", data, "--json")
    code, out, _ = simplexlab("data", "check", "cifar10_n", *options)
    assert code == 1
    wanted = {archive["filename"]: archive["url"] for archive in json.loads(out)["archives"]}
    assert wanted == {file.name: small_cifar10.url if file.suffix == ".gz" else None for file in human_labels.files}
    with pytest.raises(RunError, match=r"TFDS does not fetch all of it; fetch the 3 files that .* lists"):
        load("cifar10_n", data)
    code, _, err = simplexlab("data", "import", "cifar10_n", *human_labels.files[:-1], *options)
    assert code == 2
    assert err.splitlines()[-1] == "simplexlab: cifar10_n also needs side_info_cifar10N.csv"
    code, _, err = simplexlab("data", "import", "cifar10_n", *human_labels.files, *options)
    assert code == 0, err
    assert availability("cifar10_n", data) == "prepared"

    dataset = load("cifar10_n", data, labels="worse_label")
    assert dataset.class_names[:2] == ("airplane", "automobile")
    given = {image.tobytes(): label for image, label in zip(small_cifar10.x_train, human_labels.worse, strict=True)}
    true = {image.tobytes(): label for image, label in zip(small_cifar10.x_train, small_cifar10.y_train, strict=True)}
    assert [given[image.tobytes()] for image in dataset.x_train] == dataset.y_train.tolist()
    assert [true[image.tobytes()] for image in dataset.x_train] == dataset.y_train_clean.tolist()
    assert np.mean(dataset.y_train == dataset.y_train_clean) == 0.5
    # The test set has no human labels (TFDS says −1): it keeps its own.
    expected = sorted_pairs(small_cifar10.x_test, small_cifar10.y_test)[1]
    np.testing.assert_array_equal(sorted_pairs(dataset.x_test, dataset.y_test)[1], expected)
    clean = load("cifar10_n", data)
    assert clean.y_train_clean is None
    np.testing.assert_array_equal(clean.y_train, dataset.y_train_clean)


def test_label_fields_that_a_set_does_not_have(small_cifar10, small_cifar100):
    with pytest.raises(UsageError, match=r"--labels worse_label: cifar10 has no such label field; .*Known: label$"):
        load("cifar10", small_cifar10.data_dir, labels="worse_label")
    with pytest.raises(UsageError, match=r"--labels coarse: cifar100 has .* did you mean coarse_label\?"):
        load("cifar100", small_cifar100.data_dir, labels="coarse")
    with pytest.raises(UsageError, match="--labels image: cifar10 has no such label field"):
        load("cifar10", small_cifar10.data_dir, labels="image")


def test_labels_of_other_classes_are_no_noise(small_cifar100):
    dataset = load("cifar100", small_cifar100.data_dir, labels="coarse_label")
    assert dataset.num_classes == 20
    assert dataset.y_train_clean is None
    pairs = zip(small_cifar100.x_test, small_cifar100.y_test // 5, strict=True)
    coarse = {image.tobytes(): label for image, label in pairs}
    assert [coarse[image.tobytes()] for image in dataset.x_test] == dataset.y_test.tolist()


@pytest.fixture
def define_set(tmp_path):
    """Have TFDS know a set of given splits, {name: (images, labels)}, that needs no download."""
    import tensorflow_datasets as tfds

    def define(splits, shape=(4, 4, 1), num_classes=3):
        class MadeUpSet(tfds.core.GeneratorBasedBuilder):
            VERSION = tfds.core.Version("1.0.0")

            def _info(self):
                features = {
                    "image": tfds.features.Image(shape=shape),
                    "label": tfds.features.ClassLabel(names=[f"class {label}" for label in range(num_classes)]),
                }
                features = tfds.features.FeaturesDict(features)
                return tfds.core.DatasetInfo(builder=self, features=features, disable_shuffling=True)

            def _split_generators(self, dl_manager):
                return {name: self._generate_examples(*pair) for name, pair in splits.items()}

            def _generate_examples(self, images, labels):
                for index, (image, label) in enumerate(zip(images, labels, strict=True)):
                    yield index, {"image": image, "label": label}

        return MadeUpSet

    tfds_names = tfds_source.tfds_names
    tfds_source.tfds_names = lambda: ("made_up_set",)
    yield define
    tfds_source.tfds_names = tfds_names
    tfds.core.registered._DATASET_REGISTRY.pop("made_up_set")


def blank(count, shape=(4, 4, 1)):
    return np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones(shape, np.uint8)


def test_classes_without_training_images_are_left_out(define_set, tmp_path, offline):
    define_set({"train": (blank(4), [1, 3, 1, 3]), "test": (blank(2), [3, 1])}, num_classes=5)
    dataset = load("made_up_set", tmp_path)
    assert dataset.class_names == ("class 1", "class 3")
    pixels = np.concatenate([dataset.x_train, dataset.x_test])[:, 0, 0, 0]
    labels = np.concatenate([dataset.y_train, dataset.y_test])
    assert sorted(zip(pixels.tolist(), labels.tolist(), strict=True)) == [
        (0, 0),
        (0, 1),
        (1, 0),
        (1, 1),
        (2, 0),
        (3, 1),
    ]


def test_test_label_that_training_does_not_have(define_set, tmp_path):
    define_set({"train": (blank(4), [0, 1, 0, 1]), "test": (blank(2), [0, 2])})
    with pytest.raises(UsageError, match="made_up_set: the class class 2 is in the test split only"):
        load("made_up_set", tmp_path)


@pytest.mark.parametrize("odd", ["train", "test"])
def test_image_without_a_label(define_set, tmp_path, odd):
    splits = {"train": (blank(4), [0, 1, 0, 1]), "test": (blank(2), [0, 1])}
    splits[odd][1][0] = -1
    define_set(splits)
    with pytest.raises(UsageError, match="made_up_set has images without a label"):
        load("made_up_set", tmp_path)


def test_validation_stands_in_for_a_missing_test_split(define_set, tmp_path):
    define_set({"train": (blank(3), [0, 1, 2]), "validation": (blank(5), [0, 1, 2, 0, 1])})
    assert len(load("made_up_set", tmp_path).y_test) == 5


def test_set_without_a_test_split(define_set, tmp_path):
    define_set({"train": (blank(3), [0, 1, 2])})
    with pytest.raises(UsageError, match="has the splits train; a train and a test split are needed"):
        load("made_up_set", tmp_path)


def test_images_of_unstated_but_equal_size(define_set, tmp_path):
    define_set({"train": (blank(3), [0, 1, 2]), "test": (blank(3), [0, 1, 2])}, shape=(None, None, 1))
    assert load("made_up_set", tmp_path).image_shape == (4, 4, 1)


@pytest.mark.parametrize("odd", ["train", "test"])
def test_images_of_different_sizes(define_set, tmp_path, odd):
    splits = {"train": (blank(3), [0, 1, 2]), "test": (blank(3), [0, 1, 2])}
    splits[odd] = ([*blank(2), *blank(1, (5, 4, 1))], [0, 1, 2])
    define_set(splits, shape=(None, None, 1))
    with pytest.raises(UsageError, match="the images of made_up_set differ in size"):
        load("made_up_set", tmp_path)


def test_images_whose_size_changes_from_one_block_of_reading_to_the_next(define_set, tmp_path):
    images, labels = [np.zeros((4, 4, 1), np.uint8)] * 1024 + [np.zeros((5, 4, 1), np.uint8)] * 2, [0, 1] * 513
    define_set({"train": (images, labels), "test": (blank(2), [0, 1])}, shape=(None, None, 1))
    with pytest.raises(UsageError, match="the images of made_up_set differ in size"):
        load("made_up_set", tmp_path)
