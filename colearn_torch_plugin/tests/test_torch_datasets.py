"""Data sets from disk: what IDX files, folders of pictures and torchvision give, and what is refused in which words."""

from __future__ import annotations

import gzip
import os
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from colearn_core.errors import ColearnError, DataError, ParameterError
from colearn_core.parameters import checked, parameters_of
from colearn_core.testing import check_dataset
from colearn_torch_plugin.datasets import idx, image_folder, torchvision

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 4, 5), dtype=np.uint8)
LABELS = np.array([0, 1, 2] * 4, dtype=np.uint8)
IMAGES_MAGIC, LABELS_MAGIC = 0x803, 0x801


def idx_bytes(array: NDArray[Any], magic: int | None = None, sizes: tuple[int, ...] | None = None) -> bytes:
    """An IDX file of bytes; ``magic`` and ``sizes`` may lie."""
    sizes = array.shape if sizes is None else sizes
    magic = 0x800 + len(sizes) if magic is None else magic
    return struct.pack(f">{1 + len(sizes)}I", magic, *sizes) + bytes(array.tobytes())


def pair(folder: Path, images: bytes | None = None, labels: bytes | None = None) -> tuple[str, str]:
    """A file of images and one of labels; by default the whole ones."""
    files = folder / "images", folder / "labels"
    files[0].write_bytes(idx_bytes(PIXELS) if images is None else images)
    files[1].write_bytes(idx_bytes(LABELS) if labels is None else labels)
    return str(files[0]), str(files[1])


def pictures(root: Path, mode: str = "RGB", ending: str = "png", size: tuple[int, int] = (5, 4)) -> str:
    """Three pictures for each of two classes; the second's are brighter."""
    for number, name in enumerate(["cat", "dog"]):
        for i in range(3):
            file = root / name / f"{i}.{ending}"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", size, (60 + 100 * number, 10 * i, 0)).convert(mode).save(file)
    return str(root)


def refusal(kind: type[ColearnError], call: Any, *args: Any, **settings: Any) -> str:
    with pytest.raises(kind) as caught:
        call(*args, **settings)
    return str(caught.value)


# All of them


@pytest.mark.parametrize("make", [idx, image_folder, torchvision])
def test_every_parameter_has_a_help_text(make: Any) -> None:
    assert all(parameter.help for parameter in parameters_of(make))
    assert make.__doc__


def test_importing_the_data_sets_imports_neither_torch_nor_torchvision_nor_pillow() -> None:
    code = "import sys, colearn_torch_plugin.datasets; print({'torch', 'torchvision', 'PIL'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_parameters_of_an_experiment_file_are_converted() -> None:
    found = checked(image_folder, {"path": "a", "size": [4, 5]}, "data set")
    assert found == {"path": "a", "size": (4, 5), "grey": True}
    assert checked(idx, {"images": "a", "labels": "b", "class_names": ["x", "y"]}, "data set")["class_names"] == (
        "x",
        "y",
    )


# IDX files


def test_idx_files_become_images_between_0_and_1_with_class_numbers(tmp_path: Path) -> None:
    data = idx(*pair(tmp_path))
    assert data.samples.x.dtype == np.float32
    assert data.samples.y.dtype == np.int64
    assert data.samples.x.shape == (12, 1, 4, 5)
    np.testing.assert_array_equal(data.samples.x[:, 0], PIXELS.astype(np.float32) / 255)
    np.testing.assert_array_equal(data.samples.y, LABELS)
    assert data.task.classes == ("0", "1", "2")
    assert data.name == "images"


def test_idx_keeps_the_contract_of_data_sets(tmp_path: Path) -> None:
    images, labels = pair(tmp_path)
    check_dataset(idx, images=images, labels=labels)
    check_dataset(idx, images=images, labels=labels, samples=6, class_names=("a", "b", "c"))


def test_gzip_is_known_by_its_content_whatever_the_name(tmp_path: Path) -> None:
    packed = pair(tmp_path, gzip.compress(idx_bytes(PIXELS)), gzip.compress(idx_bytes(LABELS)))
    np.testing.assert_array_equal(idx(*packed).samples.x[:, 0], PIXELS.astype(np.float32) / 255)
    plain = tmp_path / "plain.gz"
    plain.write_bytes(idx_bytes(PIXELS))
    assert len(idx(str(plain), packed[1]).samples) == 12


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_samples_takes_the_first_ones(tmp_path: Path, pack: Any) -> None:
    data = idx(*pair(tmp_path, pack(idx_bytes(PIXELS))), samples=5)
    np.testing.assert_array_equal(data.samples.x[:, 0], PIXELS[:5].astype(np.float32) / 255)
    np.testing.assert_array_equal(data.samples.y, LABELS[:5])


@pytest.mark.parametrize("samples", [0, 13])
def test_a_number_of_samples_that_the_files_dont_hold_is_refused(tmp_path: Path, samples: int) -> None:
    message = refusal(ParameterError, idx, *pair(tmp_path), samples=samples)
    assert f"samples = {samples}" in message
    assert "12 labels" in message


def test_too_few_samples_for_the_classes_of_the_file_are_refused(tmp_path: Path) -> None:
    message = refusal(DataError, idx, *pair(tmp_path), samples=2)
    assert "no sample of the class '2' among the 2" in message
    assert "more samples" in message


def test_a_class_without_samples_below_the_largest_label_is_refused(tmp_path: Path) -> None:
    message = refusal(DataError, idx, *pair(tmp_path, labels=idx_bytes(LABELS + 1)))
    assert "no sample of the class '0'" in message


def test_classes_take_the_names_that_are_given(tmp_path: Path) -> None:
    assert idx(*pair(tmp_path), class_names=("cat", "dog", "bird")).task.classes == ("cat", "dog", "bird")


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("a", "b"), "2 names, but"),
        ((), "0 names, but"),
        (("a", "b", "a"), "different from each other"),
        (("a", "b", ""), "none empty"),
    ],
)
def test_names_that_dont_fit_the_labels_are_refused(tmp_path: Path, names: tuple[str, ...], expected: str) -> None:
    assert expected in refusal(ParameterError, idx, *pair(tmp_path), class_names=names)


def test_a_single_class_is_refused(tmp_path: Path) -> None:
    files = pair(tmp_path, labels=idx_bytes(LABELS * 0))
    message = refusal(DataError, idx, *files)
    assert "single class, '0'" in message
    assert files[1] in message


MALFORMED = [
    pytest.param(b"", "is too short: 0 bytes, its header alone has 16", id="empty"),
    pytest.param(idx_bytes(PIXELS)[:3], "is too short: 3 bytes", id="cut within the magic number"),
    pytest.param(idx_bytes(PIXELS)[:15], "is too short: 15 bytes", id="cut within the header"),
    pytest.param(idx_bytes(PIXELS)[:16], "says 12 × 4 × 5 bytes, 0 follow", id="header alone"),
    pytest.param(idx_bytes(PIXELS)[:-1], "says 12 × 4 × 5 bytes, 239 follow", id="a byte short"),
    pytest.param(idx_bytes(PIXELS) + b"\0", "is too long", id="a byte long"),
    pytest.param(idx_bytes(PIXELS, magic=0xD03), "begins with 0x00000d03 instead of 0x00000803", id="floats"),
    pytest.param(b"<!DOCTYPE html><html></html>", "begins with 0x3c21444f", id="a web page"),
    pytest.param(idx_bytes(PIXELS, magic=0x03080000), "begins with 0x03080000", id="little endian"),
    pytest.param(idx_bytes(PIXELS[:, :0]), "holds no images: its header says 12 × 0 × 5", id="no height"),
    pytest.param(idx_bytes(PIXELS[:0]), "holds no images: its header says 0 × 4 × 5", id="no images"),
    pytest.param(idx_bytes(PIXELS[:11]), "holds 11 images, but", id="other number than labels"),
]


@pytest.mark.parametrize("samples", [None, 6])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(("content", "expected"), MALFORMED)
def test_a_malformed_file_of_images_is_named_with_whats_wrong(
    tmp_path: Path, content: bytes, expected: str, packed: bool, samples: int | None
) -> None:
    files = pair(tmp_path, images=gzip.compress(content) if packed else content)
    message = refusal(DataError, idx, *files, samples=samples)
    assert files[0] in message
    assert expected in message


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (idx_bytes(LABELS)[:-1], "says 12 bytes, 11 follow"),
        (idx_bytes(LABELS) + b"\1", "is too long"),
        (idx_bytes(LABELS)[:7], "is too short: 7 bytes, its header alone has 8"),
        (idx_bytes(LABELS[:0]), "holds no labels"),
    ],
)
def test_a_malformed_file_of_labels_is_named_with_whats_wrong(tmp_path: Path, content: bytes, expected: str) -> None:
    files = pair(tmp_path, labels=content)
    message = refusal(DataError, idx, *files)
    assert files[1] in message
    assert expected in message


def test_images_and_labels_in_each_others_place_are_told(tmp_path: Path) -> None:
    images, labels = pair(tmp_path)
    assert "interchanged" in refusal(DataError, idx, labels, images)


@pytest.mark.parametrize("damage", ["cut", "flipped", "checksum"])
def test_damaged_gzip_is_named(tmp_path: Path, damage: str) -> None:
    content = bytearray(gzip.compress(idx_bytes(PIXELS)))
    if damage == "cut":
        del content[-20:]
    else:
        content[-6 if damage == "checksum" else 10] ^= 0xFF
    files = pair(tmp_path, images=bytes(content))
    assert f"can't read {files[0]}" in refusal(DataError, idx, *files, samples=3)


@pytest.mark.parametrize("packed", [False, True])
def test_a_header_that_promises_too_much_costs_no_memory(tmp_path: Path, packed: bool) -> None:
    labels = idx_bytes(LABELS, sizes=(2**32 - 1,))
    images = idx_bytes(PIXELS, sizes=(12, 2**31, 2**31))
    for content in ({"images": images}, {"labels": labels}):
        files = pair(tmp_path, **{name: gzip.compress(c) if packed else c for name, c in content.items()})
        tracemalloc.start()
        try:
            message = refusal(DataError, idx, *files)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert "is too short" in message
        assert peak < 8 << 20


def test_a_gzip_that_swells_beyond_its_header_is_given_up_early(tmp_path: Path) -> None:
    bomb = gzip.compress(idx_bytes(PIXELS) + bytes(64 << 20))
    files = pair(tmp_path, images=bomb)
    tracemalloc.start()
    try:
        assert "is too long" in refusal(DataError, idx, *files)
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_a_missing_file_a_folder_and_a_pipe_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = pair(tmp_path)
    assert f"there's no file {tmp_path / 'none'}" in refusal(DataError, idx, str(tmp_path / "none"), labels)
    assert "is a folder" in refusal(DataError, idx, images, str(tmp_path))
    os.mkfifo(tmp_path / "pipe")
    assert "pipe" in refusal(DataError, idx, str(tmp_path / "pipe"), labels)
    monkeypatch.chdir(tmp_path)
    assert f"working directory is {tmp_path}" in refusal(DataError, idx, "none", labels)
    assert "there's no file ~nobody_here/x" in refusal(DataError, idx, "~nobody_here/x", labels)


def test_a_file_without_permission_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(self: Path, *args: Any) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    files = pair(tmp_path)
    monkeypatch.setattr(Path, "open", denied)  # root may read everything, so modes won't do
    assert f"can't read {files[1]}: Permission denied" in refusal(DataError, idx, *files)


@given(
    content=st.binary(max_size=64),
    start=st.sampled_from([b"", b"\0\0\x08\x03", b"\0\0\x08\x03\0\0\0\x0c", b"\x1f\x8b\x08"]),
)
@settings(max_examples=60, deadline=None)
def test_no_content_whatever_makes_idx_fail_otherwise(
    content: bytes, start: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    files = pair(tmp_path_factory.mktemp("idx"), images=start + content)
    assert files[0] in refusal(DataError, idx, *files)


# Folders of pictures


def test_pictures_are_numbered_by_the_order_of_names(tmp_path: Path) -> None:
    for name, value in (("b", 20), ("a", 10), ("B", 30)):
        for file, more in (("2.png", 2), ("10.png", 1)):
            (tmp_path / name).mkdir(exist_ok=True)
            Image.new("L", (3, 2), value + more).save(tmp_path / name / file)
    data = image_folder(str(tmp_path))
    assert data.task.classes == ("B", "a", "b")
    assert data.samples.x.shape == (6, 1, 2, 3)
    assert data.samples.x.dtype == np.float32
    assert data.samples.y.dtype == np.int64
    assert data.samples.y.tolist() == [0, 0, 1, 1, 2, 2]
    np.testing.assert_allclose(data.samples.x[:, 0, 0, 0] * 255, [31, 32, 11, 12, 21, 22], rtol=1e-6)
    assert data.name == tmp_path.name


@pytest.mark.parametrize("ending", ["png", "jpg", "jpeg", "bmp", "PNG"])
def test_image_folder_keeps_the_contract_of_data_sets(tmp_path: Path, ending: str) -> None:
    check_dataset(image_folder, path=pictures(tmp_path, ending=ending))
    check_dataset(image_folder, path=str(tmp_path), size=(3, 2), grey=False)


def test_colours_are_three_channels(tmp_path: Path) -> None:
    x = image_folder(pictures(tmp_path), grey=False).samples.x
    assert x.shape == (6, 3, 4, 5)
    np.testing.assert_allclose(x[4, :, 0, 0] * 255, [160, 10, 0], rtol=1e-6)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA"])
@pytest.mark.parametrize("grey", [False, True])
def test_every_kind_of_picture_becomes_grey_or_colour(tmp_path: Path, mode: str, grey: bool) -> None:
    x = image_folder(pictures(tmp_path, mode=mode), grey=grey).samples.x
    assert x.shape == (6, 1 if grey else 3, 4, 5)
    assert x.min() >= 0
    assert x.max() <= 1


@pytest.mark.parametrize("grey", [False, True])
def test_pictures_of_16_bits_keep_their_range(tmp_path: Path, grey: bool) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        Image.fromarray(np.array([[0, 257 * 100, 65535]], dtype=np.uint16)).save(tmp_path / name / "x.png")
    x = image_folder(str(tmp_path), grey=grey).samples.x
    np.testing.assert_allclose(x[0, 0, 0] * 255, [0, 100, 255], rtol=1e-6)


def test_size_is_height_and_width(tmp_path: Path) -> None:
    pictures(tmp_path)
    Image.new("L", (50, 60), 7).save(tmp_path / "cat" / "other.png")
    assert image_folder(str(tmp_path), size=(8, 6)).samples.x.shape == (7, 1, 8, 6)


def test_different_sizes_are_told_by_two_files(tmp_path: Path) -> None:
    pictures(tmp_path)
    Image.new("L", (50, 60)).save(tmp_path / "dog" / "1.png")
    message = refusal(DataError, image_folder, str(tmp_path))
    assert f"{tmp_path / 'cat' / '0.png'} has 4 × 5, {tmp_path / 'dog' / '1.png'} has 60 × 50" in message
    assert "Set size" in message


@pytest.mark.parametrize("size", [(0, 3), (3, -1)])
def test_a_size_of_nothing_is_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    assert f"size = {list(size)}" in refusal(ParameterError, image_folder, pictures(tmp_path), size=size)


def test_hidden_and_other_files_are_left_out(tmp_path: Path) -> None:
    pictures(tmp_path)
    (tmp_path / ".ipynb_checkpoints").mkdir()
    (tmp_path / "notes.txt").write_text("about")
    (tmp_path / "cat" / "._0.png").write_bytes(b"no image")
    (tmp_path / "cat" / "labels.csv").write_text("a,b")
    (tmp_path / "cat" / "folder.png").mkdir()
    data = image_folder(str(tmp_path))
    assert data.task.classes == ("cat", "dog")
    assert len(data.samples) == 6


def test_a_missing_folder_and_a_file_in_its_place_are_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for path in (tmp_path / "none", file):
        assert f"there's no folder {path}" in refusal(DataError, image_folder, str(path))


def test_fewer_than_two_classes_are_refused(tmp_path: Path) -> None:
    assert "there's none" in refusal(DataError, image_folder, str(tmp_path))
    (tmp_path / "cat").mkdir()
    message = refusal(DataError, image_folder, str(tmp_path))
    assert "there's only 'cat'" in message
    assert "named after their classes" in message


def test_a_class_without_images_is_named(tmp_path: Path) -> None:
    pictures(tmp_path)
    (tmp_path / "emu").mkdir()
    assert f"the class {tmp_path / 'emu'} has no images" in refusal(DataError, image_folder, str(tmp_path))


@pytest.mark.parametrize("damage", ["text", "cut", "empty", "gif", "link"])
def test_an_image_that_cant_be_read_is_named(tmp_path: Path, damage: str) -> None:
    pictures(tmp_path, size=(40, 40))
    file = tmp_path / "dog" / "1.png"
    if damage == "cut":
        Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)).save(file)
        file.write_bytes(file.read_bytes()[:-200])
    elif damage == "gif":  # no decoder is tried but those of the endings
        Image.new("L", (40, 40)).save(file, format="gif")
    elif damage == "link":
        file.unlink()
        file.symlink_to(tmp_path / "none")
    else:
        file.write_bytes(b"no image" if damage == "text" else b"")
    message = refusal(DataError, image_folder, str(tmp_path))
    assert f"can't read the image {file}" in message


def test_a_picture_of_too_many_pixels_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pictures(tmp_path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 15)
    assert "decompression bomb" in refusal(DataError, image_folder, path)


def test_a_folder_without_permission_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(self: Path) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    path = pictures(tmp_path)
    monkeypatch.setattr(Path, "iterdir", denied)
    assert f"can't read {path}: Permission denied" in refusal(DataError, image_folder, path)


def test_without_pillow_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pictures(tmp_path)
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert "pip install pillow" in refusal(DataError, image_folder, path)


# torchvision, by a stand-in


class Grey:
    """Such as torchvision.datasets.MNIST: pairs of a picture and a class number."""

    classes = ["zero", "one"]
    mode = "L"

    def __init__(self, root: str, train: bool = True, transform: Any = None, download: bool = False) -> None:
        assert not download
        if not (Path(root) / type(self).__name__).exists():
            raise RuntimeError("Dataset not found. You can use download=True to download it")
        self.train = train

    def __len__(self) -> int:
        return 8 if self.train else 4

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return Image.new("L", (5, 4), 10 * index).convert(self.mode), index % 2


class Colour(Grey):
    classes: Any = None
    mode = "RGB"

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        picture, number = super().__getitem__(index)
        return picture, np.int64(number)


class Binary(Grey):
    mode = "1"


class Boxes(Grey):
    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return super().__getitem__(index)[0], {"boxes": []}


class Uneven(Grey):
    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return Image.new("L", (5, 4 + index)), index % 2


class Floats(Grey):
    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return np.zeros((4, 5)), index % 2


class Splits:
    def __init__(self, root: str, split: str = "train", download: bool = False) -> None:
        raise AssertionError("never made")


@pytest.fixture
def downloaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The folder of the stand-in's data sets."""
    package, datasets = ModuleType("torchvision"), ModuleType("torchvision.datasets")
    for made in (Grey, Colour, Binary, Boxes, Uneven, Floats, Splits):
        setattr(datasets, made.__name__, made)
        (tmp_path / made.__name__).mkdir()
    monkeypatch.setitem(sys.modules, "torchvision", package)
    monkeypatch.setitem(sys.modules, "torchvision.datasets", datasets)
    return str(tmp_path)


def test_a_data_set_of_torchvision_becomes_images_with_named_classes(downloaded: str) -> None:
    data = torchvision("Grey", downloaded)
    assert data.name == "Grey"
    assert data.task.classes == ("zero", "one")
    assert data.samples.x.shape == (8, 1, 4, 5)
    assert data.samples.x.dtype == np.float32
    assert data.samples.y.dtype == np.int64
    np.testing.assert_allclose(data.samples.x[3] * 255, np.full((1, 4, 5), 30), rtol=1e-6)
    assert len(torchvision("Grey", downloaded, train=False).samples) == 4


def test_classes_without_names_are_named_by_their_numbers(downloaded: str) -> None:
    data = torchvision("Colour", downloaded)
    assert data.task.classes == ("0", "1")
    assert data.samples.x.shape == (8, 3, 4, 5)


def test_pixels_of_one_bit_are_0_or_1(downloaded: str) -> None:
    assert np.unique(torchvision("Binary", downloaded).samples.x).tolist() == [0, 1]


@pytest.mark.parametrize("dataset", ["Grey", "Colour"])
def test_torchvision_keeps_the_contract_of_data_sets(downloaded: str, dataset: str) -> None:
    check_dataset(torchvision, dataset=dataset, root=downloaded)


def test_absent_data_are_told_with_the_command_that_downloads_them(downloaded: str) -> None:
    root = str(Path(downloaded) / "elsewhere")
    message = refusal(DataError, torchvision, "Grey", root, train=False)
    assert f"torchvision can't read Grey in {root}: Dataset not found" in message
    assert f"torchvision.datasets.Grey({root!r}, train=False, download=True)" in message


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        ("Boxes", "targets are dict, not class numbers"),
        ("Uneven", "images have shapes"),
        ("Floats", "float64 of shape (4, 5), no picture of 8 bits"),
    ],
)
def test_what_isnt_pictures_of_one_size_with_classes_is_refused(downloaded: str, dataset: str, expected: str) -> None:
    message = refusal(DataError, torchvision, dataset, downloaded)
    assert expected in message
    assert f"torchvision's {dataset}" in message


@pytest.mark.parametrize("dataset", ["MNISTT", "__name__", "ModuleType"])
def test_an_unknown_data_set_is_refused(downloaded: str, dataset: str) -> None:
    assert f"no data set {dataset!r}" in refusal(ParameterError, torchvision, dataset, downloaded)


def test_a_data_set_without_training_and_test_part_is_refused(downloaded: str) -> None:
    assert "torchvision's Splits" in refusal(ParameterError, torchvision, "Splits", downloaded)


def test_without_torchvision_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torchvision.datasets", raising=False)
    monkeypatch.setitem(sys.modules, "torchvision", None)
    message = refusal(DataError, torchvision, "MNIST", str(tmp_path))
    assert "MNIST is read by torchvision" in message
    assert "pip install torchvision" in message


@pytest.mark.parametrize("dataset", ["CIFAR10", "CIFAR100"])
def test_a_torchvision_data_set_of_pickles_is_refused(dataset: str, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=f"torchvision reads {dataset} from pickles"):
        torchvision(dataset=dataset, root=str(tmp_path))
