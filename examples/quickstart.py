from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import SGDClassifier
from sklearn.preprocessing import scale

from colearn_core import Experiment
from colearn_sklearn_plugin import SklearnLearner

x, y = load_breast_cancer(return_X_y=True)
x = scale(x)

# Five hospitals, each with a fifth of the patients: a third of them to train, to vote and to test on.
learners = [
    SklearnLearner(
        SGDClassifier(loss="log_loss", learning_rate="constant", eta0=0.01),
        train=(x[i::15], y[i::15]),
        vote=(x[i + 5 :: 15], y[i + 5 :: 15]),
        test=(x[i + 10 :: 15], y[i + 10 :: 15]),
        classes=[0, 1],
    )
    for i in range(5)
]
experiment = Experiment(learners, proposals="round_robin", voting="majority", seed=7)
for record in experiment.rounds(10):
    print(record)
model = learners[0].fitted_estimator(experiment.weights)  # a plain scikit-learn classifier
