"""The learner components: estimators with settings that suit small private data."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Ge, Gt
from sklearn.linear_model import Perceptron, SGDClassifier, SGDRegressor
from sklearn.naive_bayes import GaussianNB, MultinomialNB
from sklearn.neural_network import MLPClassifier, MLPRegressor

from colearn_core.data import PrivateData
from colearn_core.errors import DataError, ParameterError

from .learner import SklearnLearner

Epochs = Annotated[int, Ge(1), "Passes over the training data for a proposal"]
VoteMetric = Annotated[str | None, "What learners vote by (log_loss, accuracy, f1, roc_auc; mse, r2)"]
TestMetric = Annotated[str | None, "What the current model is reported by"]
Alpha = Annotated[float, Ge(0), "Strength of the L2 penalty"]
Layers = Annotated[tuple[int, ...], "Neurons of each hidden layer"]
Activation = Annotated[Literal["identity", "logistic", "tanh", "relu"], "Activation of the hidden layers"]
BatchSize = Annotated[int, Ge(1), "Samples per step of the optimiser"]
Steps = Annotated[int, Ge(1), "Steps of the optimiser for a proposal, the same for all learners"]
Solver = Annotated[Literal["adam", "sgd"], "Optimiser; it begins anew with every proposal"]
UNSCALED = "Where features are standardised, leave that out: --set data.standardize=false"
Rate = Annotated[float, Gt(0), "Initial learning rate"]


def sgd_classifier(
    data: PrivateData,
    loss: Annotated[str, "log_loss gives probabilities; hinge, modified_huber, ..."] = "log_loss",
    alpha: Alpha = 1e-4,
    learning_rate: Annotated[str, "Schedule: constant, optimal, invscaling or adaptive"] = "constant",
    eta0: Annotated[float, Ge(0), "Initial learning rate; the optimal schedule has its own"] = 0.05,
    average: Annotated[bool, "Average the weights over all steps"] = False,
    epochs: Epochs = 5,
    vote_metric: VoteMetric = None,
    test_metric: TestMetric = None,
) -> SklearnLearner:
    """A linear classifier trained by stochastic gradient descent."""
    estimator = SGDClassifier(loss=loss, alpha=alpha, learning_rate=learning_rate, eta0=eta0, average=average)
    return SklearnLearner.of(estimator, data, epochs=epochs, vote_metric=vote_metric, test_metric=test_metric)


def sgd_regressor(
    data: PrivateData,
    loss: Annotated[str, "squared_error, huber or epsilon_insensitive"] = "squared_error",
    alpha: Alpha = 1e-4,
    learning_rate: Annotated[str, "Schedule: invscaling, constant, optimal or adaptive"] = "invscaling",
    eta0: Annotated[float, Ge(0), "Initial learning rate"] = 0.01,
    average: Annotated[bool, "Average the weights over all steps"] = False,
    epochs: Epochs = 5,
    vote_metric: VoteMetric = None,
    test_metric: TestMetric = None,
) -> SklearnLearner:
    """A linear regression trained by stochastic gradient descent."""
    estimator = SGDRegressor(loss=loss, alpha=alpha, learning_rate=learning_rate, eta0=eta0, average=average)
    return SklearnLearner.of(estimator, data, epochs=epochs, vote_metric=vote_metric, test_metric=test_metric)


def mlp_classifier(
    data: PrivateData,
    hidden_layer_sizes: Layers = (64,),
    activation: Activation = "relu",
    solver: Solver = "sgd",
    learning_rate_init: Rate = 0.1,
    batch_size: BatchSize = 8,
    alpha: Alpha = 1e-4,
    steps: Steps = 20,
    vote_metric: VoteMetric = None,
    test_metric: TestMetric = None,
) -> SklearnLearner:
    """A neural network (multi-layer perceptron) that classifies."""
    estimator = MLPClassifier(
        hidden_layer_sizes=hidden_layer_sizes,
        activation=activation,
        solver=solver,
        learning_rate_init=learning_rate_init,
        batch_size=batch_size,
        alpha=alpha,
    )
    return SklearnLearner.of(
        estimator, data, samples_per_proposal=steps * batch_size, vote_metric=vote_metric, test_metric=test_metric
    )


def mlp_regressor(
    data: PrivateData,
    hidden_layer_sizes: Layers = (64,),
    activation: Activation = "relu",
    solver: Solver = "sgd",
    learning_rate_init: Rate = 0.01,
    batch_size: BatchSize = 8,
    alpha: Alpha = 1e-4,
    steps: Steps = 20,
    vote_metric: VoteMetric = None,
    test_metric: TestMetric = None,
) -> SklearnLearner:
    """A neural network (multi-layer perceptron) that predicts values."""
    estimator = MLPRegressor(
        hidden_layer_sizes=hidden_layer_sizes,
        activation=activation,
        solver=solver,
        learning_rate_init=learning_rate_init,
        batch_size=batch_size,
        alpha=alpha,
    )
    return SklearnLearner.of(
        estimator, data, samples_per_proposal=steps * batch_size, vote_metric=vote_metric, test_metric=test_metric
    )


def gaussian_nb(
    data: PrivateData,
    var_smoothing: Annotated[float, Gt(0), "Added to all variances, in squared units of the features"] = 1e-2,
    vote_metric: VoteMetric = None,
    test_metric: TestMetric = None,
) -> SklearnLearner:
    """Gaussian naive Bayes; each learner's counts are added to the model's."""
    estimator = GaussianNB(var_smoothing=var_smoothing)
    return SklearnLearner.of(estimator, data, vote_metric=vote_metric, test_metric=test_metric)


def multinomial_nb(
    data: PrivateData,
    alpha: Annotated[float, Gt(0), "Added to all counts (Laplace or Lidstone smoothing)"] = 1.0,
    vote_metric: VoteMetric = None,
    test_metric: TestMetric = None,
) -> SklearnLearner:
    """Multinomial naive Bayes, for features that are counts or otherwise not negative."""
    if not alpha > 0:
        raise ParameterError(f"alpha must be positive, not {alpha}: a feature never seen would be impossible")
    learner = SklearnLearner.of(MultinomialNB(alpha=alpha), data, vote_metric=vote_metric, test_metric=test_metric)
    if (data.train.x < 0).any():
        raise DataError("multinomial naive Bayes counts, so features can't be negative", hint=UNSCALED)
    return learner


def perceptron(
    data: PrivateData,
    penalty: Annotated[Literal["l2", "l1", "elasticnet"] | None, "Kind of regularisation"] = None,
    alpha: Annotated[float, Ge(0), "Strength of the penalty"] = 1e-4,
    eta0: Annotated[float, Gt(0), "Learning rate"] = 1.0,
    epochs: Epochs = 5,
    vote_metric: VoteMetric = None,
    test_metric: TestMetric = None,
) -> SklearnLearner:
    """The perceptron; it gives no probabilities, so learners vote by accuracy."""
    estimator = Perceptron(penalty=penalty, alpha=alpha, eta0=eta0)
    return SklearnLearner.of(estimator, data, epochs=epochs, vote_metric=vote_metric, test_metric=test_metric)


def passive_aggressive(
    data: PrivateData,
    C: Annotated[float, Gt(0), "Largest step"] = 1.0,
    epochs: Epochs = 5,
    vote_metric: VoteMetric = None,
    test_metric: TestMetric = None,
) -> SklearnLearner:
    """The passive-aggressive classifier PA-I (Crammer et al. 2006); learners vote by accuracy."""
    # scikit-learn 1.8 deprecates its own class in favour of this form.
    estimator = SGDClassifier(loss="hinge", penalty=None, learning_rate="pa1", eta0=C)
    return SklearnLearner.of(estimator, data, epochs=epochs, vote_metric=vote_metric, test_metric=test_metric)
