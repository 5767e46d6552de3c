"""The bundled data sets, and those of openml.org (which is never asked here)."""

from __future__ import annotations

import socket
import warnings
from collections.abc import Callable
from email.message import Message
from http.client import IncompleteRead
from typing import Any
from urllib.error import HTTPError, URLError

import numpy as np
import pandas as pd
import pytest
from sklearn import datasets as bundled
from sklearn.utils import Bunch

from colearn_core.config import ExperimentConfig, prepare
from colearn_core.data import Dataset, Holdout, PrivateData, partition
from colearn_core.errors import DataError, ParameterError
from colearn_core.plugins import Plugins
from colearn_core.splitting import Iid
from colearn_core.streams import Streams
from colearn_sklearn_plugin.datasets import breast_cancer, diabetes, digits, iris, openml, wine

scaled_by_learners = pytest.mark.parametrize("load", [iris, wine, breast_cancer])


def parts_of(data: Dataset) -> list[PrivateData]:
    return partition(data, Iid(), 3, Holdout(), Streams(2))


# Bundled


@pytest.mark.parametrize(
    ("load", "shape", "classes"),
    [
        (iris, (150, 4), ("setosa", "versicolor", "virginica")),
        (wine, (178, 13), ("class_0", "class_1", "class_2")),
        (breast_cancer, (569, 30), ("malignant", "benign")),
        (digits, (1797, 64), tuple("0123456789")),
        (diabetes, (442, 10), ()),
    ],
)
def test_a_bundled_data_set_has_its_published_size_and_classes(
    load: Callable[[], Dataset], shape: tuple[int, int], classes: tuple[str, ...]
) -> None:
    data = load()
    assert data.name == load.__name__
    assert data.samples.x.shape == shape
    assert data.samples.y.shape == shape[:1]
    assert data.task.classes == classes
    if classes:
        assert set(data.samples.y.tolist()) == set(range(len(classes)))


@scaled_by_learners
def test_standardisation_uses_only_the_learners_own_training_part(load: Callable[[], Dataset]) -> None:
    data = load()
    assert data.fit_transform is not None
    own, other = data.samples.x[::2], data.samples.x[1::2]
    transform = data.fit_transform(own)
    np.testing.assert_allclose(transform(own).mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(transform(own).std(axis=0), 1)
    np.testing.assert_allclose(transform(other), (other - own.mean(axis=0)) / own.std(axis=0))
    for part in parts_of(data):
        np.testing.assert_allclose(part.train.x.mean(axis=0), 0, atol=1e-12)
        assert abs(part.vote.x.mean()) > 1e-6


@scaled_by_learners
def test_features_stay_raw_without_standardisation(load: Callable[..., Dataset]) -> None:
    data = load(standardize=False)
    np.testing.assert_array_equal(data.samples.x, load().samples.x)
    assert data.fit_transform is None


def test_digits_are_between_0_and_1() -> None:
    data = digits()
    assert data.samples.x.min() == 0
    assert data.samples.x.max() == 1
    assert data.fit_transform is None


def test_predicting_the_mean_of_diabetes_is_off_by_1() -> None:
    data = diabetes()
    for values in (data.samples.x, data.samples.y):
        np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(values.std(axis=0), 1)


# openml.org


def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "age": [1.0, np.nan, 3.0, 4.0],
            "kind": pd.Categorical(["u", "v", None, "u"]),
            "class": pd.Categorical(["yes", "no", "no", "yes"]),
        }
    )


class FakeOpenml:
    """Stands in for ``fetch_openml``: answers with a frame, or fails, and notes what it was asked."""

    def __init__(self, answer: Any, targets: list[str] | None = None) -> None:
        self.answer, self.targets = answer, ["class"] if targets is None else targets
        self.asked: list[tuple[Any, ...]] = []
        self.timeout: float | None = None

    def __call__(self, name: str | None, *, data_id: int | None, version: Any, **settings: Any) -> Bunch:
        self.asked.append((name, data_id, version))
        self.timeout = socket.getdefaulttimeout()
        assert settings["as_frame"] is True
        if isinstance(self.answer, Exception):
            warnings.warn("A network error occurred while downloading x. Retrying...", stacklevel=1)
            raise self.answer
        return Bunch(frame=self.answer, target_names=self.targets)


def fake(monkeypatch: pytest.MonkeyPatch, answer: Any, targets: list[str] | None = None) -> FakeOpenml:
    fetch = FakeOpenml(answer, targets)
    monkeypatch.setattr(bundled, "fetch_openml", fetch)
    return fetch


def test_an_openml_frame_is_read_like_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, frame())
    data = openml("pets")
    np.testing.assert_array_equal(data.samples.x, [[1, 1, 0], [np.nan, 0, 1], [3, 0, 0], [4, 1, 0]])
    assert data.samples.y.tolist() == [1, 0, 0, 1]
    assert data.task.classes == ("no", "yes")
    assert data.fit_transform is not None
    np.testing.assert_allclose(data.fit_transform(data.samples.x[[0, 2]])(data.samples.x)[:, 0], [-1, 0, 1, 2])


def test_openml_is_asked_by_name_and_version_or_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    fetch = fake(monkeypatch, frame())
    assert openml("pets").name == "openml pets"
    openml("pets", version=2)
    assert openml(number=61).name == "openml 61"
    assert fetch.asked == [("pets", None, "active"), ("pets", None, 2), (None, 61, "active")]


def test_another_openml_column_can_be_the_target(monkeypatch: pytest.MonkeyPatch) -> None:
    fake(monkeypatch, frame().dropna())
    data = openml("pets", target="age", task="regression", ignore=("class",), standardize=False)
    assert data.samples.y.tolist() == [1, 4]
    assert data.samples.x.shape == (2, 1)
    assert data.fit_transform is None


@pytest.mark.parametrize("targets", [[], ["age", "class"]])
def test_openml_data_without_a_single_target_need_one_chosen(
    monkeypatch: pytest.MonkeyPatch, targets: list[str]
) -> None:
    fake(monkeypatch, frame(), targets)
    with pytest.raises(ParameterError, match="Set target to one of: age, kind, class"):
        openml("pets")
    assert openml("pets", target="class").task.classes == ("no", "yes")


def test_openml_takes_exactly_one_of_name_and_number(monkeypatch: pytest.MonkeyPatch) -> None:
    fetch = fake(monkeypatch, frame())
    with pytest.raises(ParameterError, match="either dataset or number, not none"):
        openml()
    with pytest.raises(ParameterError, match="either dataset or number, not both"):
        openml("pets", 61)
    with pytest.raises(ParameterError, match="number = 61 already stands for one version"):
        openml(number=61, version=2)
    assert fetch.asked == []


@pytest.mark.parametrize(
    "failure",
    [
        URLError("Name or service not known"),
        TimeoutError("timed out"),
        ConnectionResetError("reset by peer"),
        HTTPError("https://www.openml.org", 503, "Service Unavailable", Message(), None),
        IncompleteRead(b""),
        EOFError("Compressed file ended"),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_an_unreachable_openml_is_an_error_that_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    fake(monkeypatch, failure)
    with pytest.raises(DataError) as caught:
        openml("pets")
    assert "openml.org couldn't be reached for openml pets" in str(caught.value)
    assert "Check the connection" in str(caught.value)


@pytest.mark.parametrize(
    "failure",
    [
        ValueError("No active dataset pets found."),
        HTTPError("https://www.openml.org", 404, "Not Found", Message(), None),
        HTTPError("https://www.openml.org", 412, "Precondition Failed", Message(), None),
    ],
    ids=str,
)
def test_data_that_openml_does_not_have_are_an_error(monkeypatch: pytest.MonkeyPatch, failure: Exception) -> None:
    fake(monkeypatch, failure)
    with pytest.raises(DataError, match=r"openml\.org has no such data set as openml 99999"):
        openml(number=99999)


@pytest.mark.parametrize("answer", [frame(), URLError("no network")], ids=["answered", "failed"])
def test_the_wait_for_openml_is_bounded_and_other_sockets_keep_their_timeout(
    monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    fetch = fake(monkeypatch, answer)
    before = socket.getdefaulttimeout()
    try:
        openml("pets")
    except DataError:
        assert isinstance(answer, URLError)
    assert fetch.timeout is not None
    assert 0 < fetch.timeout <= 60
    assert socket.getdefaulttimeout() == before


def test_the_real_fetch_openml_takes_what_it_is_given(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    def unreachable(*_: Any, **__: Any) -> Any:
        raise URLError("no network in tests")

    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    monkeypatch.setattr("sklearn.datasets._openml.urlopen", unreachable)
    monkeypatch.setattr("sklearn.datasets._openml.time.sleep", lambda _: None)
    with pytest.raises(DataError, match="no network in tests"):
        openml("iris", version=1)
    with pytest.raises(DataError, match="no network in tests"):
        openml(number=61)


def test_openml_can_be_named_in_an_experiment_file(monkeypatch: pytest.MonkeyPatch) -> None:
    fetch = fake(monkeypatch, pd.concat([frame()] * 10, ignore_index=True))
    values = {
        "learners": 2,
        "data": {"name": "openml", "dataset": "pets", "version": 3},
        "learner": "sklearn.sgd_classifier",
    }
    found = prepare(ExperimentConfig.from_mapping(values, "test"), Plugins())
    assert fetch.asked == [("pets", None, 3)]
    assert found.dataset.task.classes == ("no", "yes")
