"""IDX files are read as they are, and what's wrong with one is named."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from colearn_core.errors import DataError
from colearn_core.testing import check_dataset
from colearn_torch_plugin.idx import idx

PIXELS = np.random.default_rng(0).integers(256, size=(40, 4, 5), dtype=np.uint8)
DIGITS = np.arange(40, dtype=np.uint8) % 3


def idx_bytes(array: NDArray[np.uint8], kind: int = 8) -> bytes:
    return bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "images").write_bytes(idx_bytes(PIXELS))
    (tmp_path / "labels").write_bytes(idx_bytes(DIGITS))
    return tmp_path / "images", tmp_path / "labels"


def test_images_and_labels_are_read(files: tuple[Path, Path]) -> None:
    data = idx(*files)
    assert data.samples.x.shape == (40, 1, 4, 5)
    assert data.samples.x.dtype == np.float32
    assert np.array_equal(np.rint(data.samples.x[:, 0] * 255), PIXELS)
    assert np.array_equal(data.samples.y, DIGITS)
    assert data.task.classes == ("0", "1", "2")


def test_compressed_files_are_read_whatever_their_name(files: tuple[Path, Path]) -> None:
    plain = idx(*files)
    for path in files:
        path.write_bytes(gzip.compress(path.read_bytes()))
    assert np.array_equal(idx(*files).samples.x, plain.samples.x)


def test_only_the_first_can_be_taken(files: tuple[Path, Path]) -> None:
    assert np.array_equal(idx(*files, samples=7).samples.y, DIGITS[:7])


def test_it_keeps_the_contract_of_data_sets(files: tuple[Path, Path]) -> None:
    check_dataset(idx, images=files[0], labels=files[1])


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (b"", "no IDX file"),
        (b"PNG\r\n", "no IDX file"),
        (idx_bytes(DIGITS), r"in 1 dimensions; bytes \(0x08\) in 3 are needed\nAre images and labels swapped"),
        (idx_bytes(PIXELS, kind=0x0D), "values of type 0x0d"),
        (idx_bytes(PIXELS)[:10], "ends within its header"),
        (idx_bytes(PIXELS)[:-1], r"announces 800 values \(\(40, 4, 5\)\) and holds 799"),
        (idx_bytes(PIXELS) + b"\0", "announces 800 values .* and holds 801"),
        (bytes([0, 0, 8, 3]) + struct.pack(">3I", 2**31, 2**10, 2**10), "announces 2251799813685248 values"),
        (idx_bytes(PIXELS[:9]), "holds 9 images, .* 40 labels"),
        (gzip.compress(idx_bytes(PIXELS))[:-20], "is cut off"),
        (gzip.compress(idx_bytes(PIXELS))[:-8] + b"\0" * 8, "can't read .*CRC"),
    ],
)
def test_a_malformed_file_is_named(images: bytes, message: str, files: tuple[Path, Path]) -> None:
    files[0].write_bytes(images)
    with pytest.raises(DataError, match=f"{files[0]}.*{message}|{message}.*"):
        idx(*files)


def test_a_missing_file_and_a_folder_are_named(files: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"can't read .*nosuch: No such file"):
        idx(tmp_path / "nosuch", files[1])
    with pytest.raises(DataError, match="Is a directory"):
        idx(tmp_path, files[1])


def test_requests_beyond_the_files_are_refused(files: tuple[Path, Path]) -> None:
    with pytest.raises(DataError, match="holds 40 images; 41 were asked for"):
        idx(*files, samples=41)
    files[0].write_bytes(idx_bytes(PIXELS[:0]))
    files[1].write_bytes(idx_bytes(DIGITS[:0]))
    with pytest.raises(DataError, match="holds no images"):
        idx(*files)


def test_a_gap_in_the_class_numbers_is_named(files: tuple[Path, Path]) -> None:
    files[1].write_bytes(idx_bytes(np.where(DIGITS == 1, np.uint8(2), DIGITS)))
    with pytest.raises(DataError, match="no sample of class 1, but of class 2"):
        idx(*files)
