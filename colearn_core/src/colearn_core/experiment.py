"""The experiment: learners, a proposal strategy, a voting policy and a seed, played round by round."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from math import isfinite
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import ConfigError, ParameterError
from .history import History, Run
from .learner import Learner
from .ledger import Ledger
from .plugins import Plugins
from .proposing import ProposalStrategy
from .rounds import RoundRecord, Standing, begin, play
from .streams import SCHEME, Streams
from .voting import VotingPolicy
from .weights import Weights

if TYPE_CHECKING:
    from .adversaries import Adversary
    from .cohort import Cohort
    from .config import ExperimentConfig


class Experiment:
    """Learners that train one model together by vote.

    Args:
        learners: the parties.
        proposals: a proposal strategy, or the name of a component with its default parameters.
        voting: a voting policy, or the name of a component with its default parameters.
        runtime: where the work is done: the name of a component, or a callable from learners and
            names to a cohort.
        seed: from which all randomness comes, 0 or more; same seed, same result, bit for bit.
        names: the learners' names; by default ``learner-0``, ``learner-1``, ...
        initial: weights to begin with; by default the first learner is asked.
        ledger: where the rounds are recorded; by default nowhere.
        adversaries: which learners, by number, play an adversary. What it does to data is up to whoever makes the
            learners, see :func:`~colearn_core.adversaries.poisoned`.
        plugins: the plugins that names are looked up in and that observe; by default all installed.

    Raises:
        ConfigError, UnknownComponentError: an argument is wrong.
    """

    def __init__(
        self,
        learners: Sequence[Learner],
        *,
        proposals: str | ProposalStrategy = "approval",
        voting: str | VotingPolicy = "majority",
        runtime: str | Callable[[Sequence[Learner], Sequence[str] | None], Cohort] = "fused",
        seed: int = 0,
        names: Sequence[str] | None = None,
        initial: Weights | None = None,
        ledger: Ledger | None = None,
        adversaries: Mapping[int, Adversary] | None = None,
        plugins: Plugins | None = None,
    ) -> None:
        if seed < 0:
            raise ParameterError(f"seed must be 0 or more, not {seed}")
        if not learners:
            raise ConfigError("an experiment needs at least one learner")
        self.plugins = Plugins() if plugins is None else plugins
        self.strategy: ProposalStrategy = self._resolved("proposal_strategies", proposals)
        self.policy: VotingPolicy = self._resolved("voting_policies", voting)
        make_cohort: Any = self.plugins.component("runtimes", runtime).load() if isinstance(runtime, str) else runtime
        self.cohort: Cohort = make_cohort(learners, names)
        self.policy.check(self.cohort.vote_metric)
        self.runtime = type(self.cohort).__name__
        self.adversaries: dict[int, Adversary] = dict(sorted((adversaries or {}).items()))
        if self.adversaries:
            from .adversaries import DishonestCohort

            self.cohort = DishonestCohort(self.cohort, learners, self.adversaries)
        self.streams = Streams(seed)
        self.ledger = ledger
        self.config: ExperimentConfig | None = None
        self._initial = initial
        self._standing: Standing | None = None
        self._begun = False
        self._played = 0

    @classmethod
    def from_config(
        cls,
        config: ExperimentConfig | Path | str,
        *,
        plugins: Plugins | None = None,
        ledger: Ledger | None = None,
    ) -> Experiment:
        """Build an experiment from a TOML file, or from what was read from one.

        Raises:
            ConfigError: the file can't be read or says something wrong; names the line or the key.
            UsageError: a component or parameter is wrong, or the data can't be divided as asked.
        """
        from .config import ExperimentConfig, build_experiment

        if not isinstance(config, ExperimentConfig):
            config = ExperimentConfig.read(Path(config))
        return build_experiment(config, Plugins() if plugins is None else plugins, ledger)

    @property
    def standing(self) -> Standing:
        """The weights in force and everyone's scores of them."""
        if self._standing is None:
            standing = begin(self.cohort, self.streams, self._initial, self.policy.looks_closer)
            if self.policy.looks_closer:
                self._check_voters(standing)
            self.policy = self.policy.among(standing.vote.samples)
            self._standing = standing
        return self._standing

    def _check_voters(self, standing: Standing) -> None:
        """Raise ConfigError if all learners abstain from scoring single samples: no round could adopt anything."""
        reasons = standing.vote.reasons
        if len(reasons) == len(self.cohort):
            why = "; ".join(sorted(set(reasons.values())))
            raise ConfigError(
                f"{type(self.policy).__name__} goes by the scores of single samples, and no learner gives them: {why}",
                hint="Take another voting policy.",
            )

    @property
    def weights(self) -> Weights:
        """The weights in force."""
        return self.standing.weights

    def rounds(self, n: int) -> Iterator[RoundRecord]:
        """Play ``n`` more rounds, one for each record taken from the iterator.

        When a record is handed out, the ledger holds its round.
        """
        if n < 1:
            raise ParameterError(f"the number of rounds must be at least 1, not {n}")
        return self._play(n)

    def run(self, n: int, on_round: Callable[[RoundRecord, History], object] | None = None) -> Run:
        """Play ``n`` more rounds and return their history and the weights in force.

        Args:
            on_round: called after each round; returning True ends the run, like a Ctrl-C that comes
                between two rounds. A KeyboardInterrupt within a round ends the run as well: that
                round is lost, those before it are kept.
        """
        start = perf_counter()
        rounds = self.rounds(n)
        history = History.begin(
            self.cohort.names, self.standing, vote_epsilon=self.policy.epsilon, adversaries=self._kinds()
        )
        try:
            for record in rounds:
                history.add(record)
                if on_round is not None and on_round(record, history):
                    break
        except KeyboardInterrupt:
            pass
        seconds = perf_counter() - start
        run = Run(history, self.weights, seconds, self.cohort.feature_importance(self.weights))
        self.plugins.notify("colearn_experiment_finished", experiment=self, run=run)
        return run

    def _play(self, n: int) -> Iterator[RoundRecord]:
        standing = self.standing
        if not self._begun:
            if self.ledger is not None:
                self.ledger.begin(self._about(), self.cohort.names, standing, self._aside())
            self._begun = True
            self.plugins.notify("colearn_experiment_started", experiment=self)
        observed = bool(self.plugins.hook.colearn_round_finished.get_hookimpls())
        for _ in range(n):
            record = play(
                self._played + 1,
                self.standing,
                self.cohort,
                self.strategy,
                self.policy,
                self.streams,
                digests=self.ledger is not None,
            )
            if self.ledger is not None:
                self.ledger.append(record)
            self._played += 1
            self._standing = record.standing
            past = record.public
            self.strategy, self.policy = self.strategy.after(past), self.policy.after(past)
            if observed:
                self.plugins.notify("colearn_round_finished", experiment=self, record=record)
            yield record

    def _resolved(self, kind: str, component: Any) -> Any:
        return self.plugins.component(kind, component).load()() if isinstance(component, str) else component

    def _kinds(self) -> dict[int, str]:
        return {i: adversary.kind for i, adversary in self.adversaries.items()}

    def _cast_list(self) -> dict[str, dict[str, str]]:
        return {str(i): {"kind": one.kind, "parameters": repr(one)} for i, one in self.adversaries.items()}

    def _about(self) -> dict[str, Any]:
        if self.config is not None:
            experiment: Any = self.config.what_decides()
        else:
            experiment = {"proposals": repr(self.strategy), "voting": repr(self.policy)}
        versions = {info.distribution: info.version for info in self.plugins.infos.values()}
        private = {"epsilon_per_vote": self.policy.epsilon} if isfinite(self.policy.epsilon) else {}
        return {
            "experiment": experiment,
            **private,
            "seed": self.streams.seed,
            "streams": SCHEME,
            **({"adversaries": self._cast_list()} if self.adversaries else {}),
            "versions": {"python": platform.python_version(), "numpy": np.__version__}
            | {"colearn-core": version("colearn-core")}
            | dict(sorted(versions.items())),
        }

    def _aside(self) -> dict[str, Any]:
        threads = {name: os.environ[name] for name in THREAD_VARIABLES if name in os.environ}
        return {
            "cohort": self.runtime,
            "platform": platform.platform(),
            "processors": os.cpu_count(),
            "threads": threads,
        }


THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
