"""Images from your own disk: IDX files (MNIST and its kin), folders of pictures, torchvision's data sets."""

from __future__ import annotations

import gzip
import inspect
import os
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from math import prod
from pathlib import Path
from typing import IO, Annotated, Any

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray

from colearn_core.data import Dataset, Samples, Task
from colearn_core.errors import DataError, ParameterError

Array = NDArray[Any]
Pixels = NDArray[np.uint8]
Bytes = IO[bytes] | gzip.GzipFile

GZIP_MAGIC = b"\x1f\x8b"
IDX_MAGICS = {0x803: "images", 0x801: "labels"}
CHUNK = 1 << 20
"""Bytes read at a time: memory grows with what a file holds, not with what its header promises."""

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp")
FORMATS = ("PNG", "JPEG", "BMP")


def idx(
    images: Annotated[str, "File of images, such as train-images-idx3-ubyte.gz; relative to the working directory"],
    labels: Annotated[str, "File of their class numbers, such as train-labels-idx1-ubyte.gz"],
    samples: Annotated[int | None, Ge(1), "Use only the first so many"] = None,
    class_names: Annotated[tuple[str, ...] | None, "A name for each class number; by default the numbers"] = None,
) -> Dataset:
    """Images in the IDX format of MNIST and Fashion-MNIST (http://yann.lecun.com/exdb/mnist), plain or gzip.

    Features are between 0 and 1, in the shape (samples, 1, height, width). The classes are those of the
    whole file of labels, also if only the first samples are used.

    Raises:
        DataError: a file can't be read, isn't of this form, or doesn't fit the other one; or a class has
            no sample.
        ParameterError: there are fewer samples than wanted, or labels without a name.
    """
    image_file, label_file = _path(images), _path(labels)
    y = _read_idx(label_file, 0x801).astype(np.int64)
    if samples is not None and not 1 <= samples <= len(y):
        raise ParameterError(f"samples = {samples}, but {label_file} holds {len(y)} labels")
    names = _class_names(y, class_names, label_file)
    _require_every_class(y[:samples], names, label_file)
    pixels = _read_idx(image_file, 0x803, expected=len(y), source=label_file, first=samples)
    return Dataset(image_file.name, Samples(_features(list(pixels[:, None]), image_file), y[:samples]), Task(names))


def image_folder(
    path: Annotated[str, "Folder with a folder of images for each class; relative to the working directory"],
    size: Annotated[tuple[int, int] | None, "Height and width that all images are resized to"] = None,
    grey: Annotated[bool, "One channel of grey instead of three of colour"] = True,
) -> Dataset:
    """Pictures in ``path/class name/*.png``, ``.jpg``, ``.jpeg`` or ``.bmp``.

    Classes are numbered in the order of their names, samples are in that of their files' names; hidden
    files and folders are left out. Features are between 0 and 1, in the shape (samples, channels, height,
    width); transparency is dropped. It needs Pillow.

    Raises:
        DataError: there are fewer than two classes, one without images, an image that can't be read, or
            images of different sizes and no ``size``; or Pillow isn't installed.
        ParameterError: ``size`` isn't positive.
    """
    if size is not None and min(size) < 1:
        raise ParameterError(f"size = {list(size)} must be a height and a width of at least 1")
    folder = _path(path)
    files = _images_by_class(folder)
    pictures: list[Pixels] = []
    y: list[int] = []
    first: Path | None = None
    for number, members in enumerate(files.values()):
        for file in members:
            picture = _read_image(file, size, grey)
            if first is None:
                first = file
            elif picture.shape != pictures[0].shape:
                raise DataError(
                    f"images differ in size: {first} has {_measure(pictures[0])}, {file} has {_measure(picture)}",
                    hint="Set size to the height and width that all are to have, such as [32, 32].",
                )
            pictures.append(picture)
            y.append(number)
    name = folder.resolve().name or str(folder)
    return Dataset(name, Samples(_features(pictures, folder), np.array(y, dtype=np.int64)), Task(tuple(files)))


def torchvision(
    dataset: Annotated[str, "Its class in torchvision.datasets, such as MNIST, FashionMNIST or KMNIST"],
    root: Annotated[str, "Folder that torchvision has downloaded it to; relative to the working directory"],
    train: Annotated[bool, "Its training part; else its test part"] = True,
) -> Dataset:
    """A data set of torchvision that is on your disk already; nothing is downloaded.

    Features are between 0 and 1, in the shape (samples, channels, height, width). It's torchvision that
    reads the files. Those of CIFAR are pickles, which colearn never opens, so these data sets are refused.

    Raises:
        DataError: torchvision isn't installed, the data aren't there, or they aren't images of classes.
        ParameterError: torchvision has no such data set, or it has no training and test part.
    """
    if dataset.upper().startswith("CIFAR"):
        raise ParameterError(
            f"torchvision reads {dataset} from pickles, and colearn never opens any",
            hint="Save its images to a folder for each class once, and take torch.image_folder.",
        )
    folder = _path(root)
    make = _torchvision_class(dataset)
    try:
        found = make(root=str(folder), train=train, download=False)
        items = [(_as_pixels(image), target) for image, target in (found[i][:2] for i in range(len(found)))]
    except DataError as error:
        raise DataError(f"torchvision's {dataset} can't be learned from: {error}") from None
    except Exception as error:  # absent and damaged files show in many ways, by data set
        raise DataError(
            f"torchvision can't read {dataset} in {folder}: {error or type(error).__name__}",
            hint=f"If it isn't there yet, download it once: python -c "
            f'"import torchvision; torchvision.datasets.{dataset}({str(folder)!r}, train={train}, download=True)"',
        ) from error
    kinds = {type(target).__name__ for _, target in items if not isinstance(target, int | np.integer)}
    shapes = sorted({picture.shape for picture, _ in items})
    if kinds or len(shapes) != 1:
        wrong = (
            f"targets are {', '.join(sorted(kinds))}, not class numbers" if kinds else f"images have shapes {shapes}"
        )
        raise DataError(f"torchvision's {dataset} can't be learned from: {wrong}")
    y = np.array([int(target) for _, target in items], dtype=np.int64)
    names = tuple(getattr(found, "classes", None) or ())
    told = all(isinstance(name, str) for name in names) and len(set(names)) == len(names) > y.max()
    names = _class_names(y, names if told else None, folder)
    _require_every_class(y, names, folder)
    return Dataset(dataset, Samples(_features([picture for picture, _ in items], folder), y), Task(names))


# What they share


def _path(text: str) -> Path:
    return Path(os.path.expanduser(text))  # unlike Path.expanduser it lets ~unknown pass, to be missed by name


def _features(pictures: Sequence[Pixels], source: Path) -> NDArray[np.float32]:
    """Values of 0 to 255 as 0 to 1."""
    try:
        x = np.stack(pictures, dtype=np.float32)
    except MemoryError as error:
        raise DataError(f"the {len(pictures)} images of {source} don't fit into memory") from error
    x /= 255
    return x


def _class_names(y: Array, names: tuple[str, ...] | None, source: Path) -> tuple[str, ...]:
    largest = int(y.max())
    if names is None:
        names = tuple(str(number) for number in range(largest + 1))
    elif len(names) <= largest:
        raise ParameterError(
            f"class_names has {len(names)} names, but {source} holds the label {largest}",
            hint="Name the classes 0, 1, ... up to the largest label.",
        )
    elif len(set(names)) < len(names) or not all(names):
        raise ParameterError(f"class_names = {list(names)} must be different from each other, and none empty")
    if len(names) < 2:
        raise DataError(f"{source} holds a single class, {names[0]!r}: there's nothing to learn")
    return names


def _require_every_class(y: Array, names: tuple[str, ...], source: Path) -> None:
    present = set(np.unique(y).tolist())
    missing = [name for number, name in enumerate(names) if number not in present]
    if missing:
        raise DataError(
            f"{source} has no sample of the class {missing[0]!r} among the {len(y)} that are used "
            f"({len(missing)} of {len(names)} classes are missing)",
            hint="Take more samples, or number the classes without gaps.",
        )


def _reason(error: Any) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)


def _whereabouts(path: Path) -> str:
    return "Check the path." if path.is_absolute() else f"The working directory is {Path.cwd()}."


# IDX files


def _read_idx(
    path: Path, magic: int, expected: int | None = None, source: Path | None = None, first: int | None = None
) -> Pixels:
    """The content of an IDX file of bytes in the shape that its header tells; only its ``first`` rows, if given.

    The file is read to its end even so, for only then is it known to be whole.

    Args:
        expected: how many rows there must be, namely as many as in ``source``.
    """
    what = IDX_MAGICS[magic]
    with _idx_stream(path) as stream:
        sizes = _idx_sizes(path, stream, magic)
        shape = " × ".join(map(str, sizes))
        if not all(sizes):
            raise DataError(f"{path} holds no {what}: its header says {shape}")
        if expected is not None and sizes[0] != expected:
            raise DataError(
                f"{path} holds {sizes[0]} {what}, but {source} {expected} labels",
                hint="Take both files of the training part, or both of the test part.",
            )
        length, found, kept = prod(sizes), 0, bytearray()
        keep = length if first is None else first * prod(sizes[1:])
        while chunk := stream.read(CHUNK):
            kept += chunk[: keep - len(kept)]
            found += len(chunk)
            if found > length:
                raise DataError(f"{path} is too long: its header says {shape} bytes, and more follow")
    if found < length:
        raise DataError(
            f"{path} is too short: its header says {shape} bytes, {found} follow", hint="Was it downloaded completely?"
        )
    return np.frombuffer(kept, dtype=np.uint8).reshape(-1, *sizes[1:])


def _idx_sizes(path: Path, stream: Bytes, magic: int) -> tuple[int, ...]:
    """Read the header: a magic number and, for images, their number, height and width; for labels their number."""
    axes = magic & 0xFF
    header = stream.read(4 + 4 * axes)
    begin = int.from_bytes(header[:4], "big")
    if len(header) >= 4 and begin != magic:
        holds = f"; it holds {IDX_MAGICS[begin]}" if begin in IDX_MAGICS else ""
        raise DataError(
            f"{path} is no IDX file of {IDX_MAGICS[magic]}: "
            f"it begins with 0x{begin:08x} instead of 0x{magic:08x}{holds}",
            hint="Are images and labels interchanged?" if holds else None,
        )
    if len(header) < 4 + 4 * axes:
        raise DataError(f"{path} is too short: {len(header)} bytes, its header alone has {4 + 4 * axes}")
    return struct.unpack(f">{axes}I", header[4:])


@contextmanager
def _idx_stream(path: Path) -> Iterator[Bytes]:
    """The file's bytes, unpacked if it's gzip, whatever its name; what goes wrong in reading them names the file."""
    try:
        if not path.is_file():  # opening a pipe would wait for ever
            if path.exists():
                raise DataError(f"{path} is a {'folder' if path.is_dir() else 'device or pipe'}, not a file")
            raise DataError(f"there's no file {path}", hint=_whereabouts(path))
        with path.open("rb") as plain:
            packed = plain.read(2) == GZIP_MAGIC
            plain.seek(0)
            if packed:
                with gzip.open(plain) as unpacked:
                    yield unpacked
            else:
                yield plain
    except (OSError, EOFError, zlib.error) as error:
        damaged = isinstance(error, EOFError | zlib.error | gzip.BadGzipFile)
        raise DataError(
            f"can't read {path}: {_reason(error)}", hint="Was it downloaded completely?" if damaged else None
        ) from error


# Pictures


def _images_by_class(folder: Path) -> dict[str, list[Path]]:
    """The files of each class, both in order."""
    try:
        if not folder.is_dir():
            raise DataError(f"there's no folder {folder}", hint=_whereabouts(folder))
        classes = sorted((entry for entry in _visible(folder) if entry.is_dir()), key=lambda entry: entry.name)
        if len(classes) < 2:
            found = f"only {classes[0].name!r}" if classes else "none"
            raise DataError(
                f"{folder} needs a folder of images for each class, of two or more classes; there's {found}",
                hint="Put the images into folders that are named after their classes.",
            )
        files = {entry.name: _images(entry) for entry in classes}
    except OSError as error:
        raise DataError(f"can't read {error.filename or folder}: {_reason(error)}") from error
    for entry in classes:
        if not files[entry.name]:
            raise DataError(
                f"the class {entry} has no images ({', '.join(ENDINGS)})",
                hint="Add some, or move the folder away if it's no class.",
            )
    return files


def _images(folder: Path) -> list[Path]:
    images = (file for file in _visible(folder) if file.suffix.lower() in ENDINGS and not file.is_dir())
    return sorted(images, key=lambda file: file.name)


def _visible(folder: Path) -> Iterator[Path]:
    # such as .ipynb_checkpoints, and the ._name.jpg that macOS leaves beside a picture
    return (entry for entry in folder.iterdir() if not entry.name.startswith("."))


def _read_image(file: Path, size: tuple[int, int] | None, grey: bool) -> Pixels:
    """Pixels in the shape (channels, height, width)."""
    try:
        from PIL import Image
    except ImportError as error:
        raise DataError(
            f"images are read by Pillow, which can't be imported: {error}", hint="pip install pillow"
        ) from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.filterwarnings("ignore", "Palette images with Transparency")  # which is dropped anyway
            with Image.open(file, formats=FORMATS) as opened:
                image: Image.Image = opened
                if image.mode.startswith("I"):  # 16 bits, that Pillow would cut off at 255
                    image = Image.fromarray((np.asarray(image.convert("I")) // 257).astype(np.uint8))
                image = image.convert("L" if grey else "RGB")
                if size is not None:
                    image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
                return _as_pixels(image)
    except Exception as error:  # decoders fail in many ways: OSError, SyntaxError, struct.error, ...
        raise DataError(
            f"can't read the image {file}: {_reason(error)}", hint="Replace it, or take it out of the folder."
        ) from error


def _as_pixels(image: Any) -> Pixels:
    """Whatever numpy takes for a picture, as (channels, height, width)."""
    pixels = np.asarray(image)
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype != np.uint8 or pixels.ndim not in (2, 3):
        raise DataError(f"a sample is {pixels.dtype} of shape {pixels.shape}, no picture of 8 bits")
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _measure(pixels: Pixels) -> str:
    return f"{pixels.shape[1]} × {pixels.shape[2]}"


# torchvision


def _torchvision_class(name: str) -> Any:
    try:
        offered = import_module("torchvision.datasets")
    except (ImportError, RuntimeError) as error:  # RuntimeError: it was built for another version of torch
        raise DataError(
            f"{name} is read by torchvision, which can't be imported: {error}",
            hint="pip install torchvision, in the version that fits your torch",
        ) from error
    found = getattr(offered, name, None)
    if not inspect.isclass(found) or name.startswith("_"):
        raise ParameterError(
            f"torchvision has no data set {name!r}",
            hint="They are listed at https://docs.pytorch.org/vision/stable/datasets.html.",
        )
    if not {"root", "train", "download"} <= set(inspect.signature(found).parameters):
        raise ParameterError(
            f"torchvision's {name} isn't made from root, train and download",
            hint="Take one with a training and a test part, such as MNIST, FashionMNIST or KMNIST.",
        )
    return found
