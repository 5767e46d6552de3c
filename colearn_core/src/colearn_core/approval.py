"""Approval: a committee's proposals give rival candidates, and the most approved one wins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Annotated, Self

from annotated_types import Ge, Gt

from .alignment import Alignments, observed
from .errors import ParameterError, WeightsError
from .learner import Proposal
from .merging import inner_products
from .past import PastRound
from .proposing import Candidate, Combine, Committee, check_steps
from .rivals import FAMILIES, Rivals
from .values import changed
from .weights import Weights


@dataclass(frozen=True)
class Approval(Committee):
    """A committee's proposals give rival candidates, and the most approved one wins.

    In every round the vote picks the merge that helps: a liar spoils only the candidates that it's in, and of these
    only those that don't hold it off. Every candidate costs one scoring by every learner, so choose families
    by what is feared. Of ``n`` proposals

    - ``mean`` gives 1, weighted by the samples that are claimed: the best when all are honest;
    - ``median`` gives 1, of each coordinate (Yin et al. 2018, "Byzantine-robust distributed learning"): against
      few liars among learners whose data are alike;
    - ``trimmed_mean`` gives 1, of each coordinate without its ``liars`` smallest and largest values (ibid.): nearer
      to the mean than the median is, so better where data differ;
    - ``geometric_median`` gives 1, the point with the least distances to all (Pillutla et al. 2022, "Robust
      aggregation for federated learning"): against liars up to nearly half;
    - ``krum`` gives 1, the proposal with the least squared distances to its ``n - liars - 2`` nearest (Blanchard
      et al. 2017, "Machine learning with adversaries"): one learner's proposal, for learners whose data are alike;
    - ``multi_krum`` gives 1, the mean of the ``n - liars`` best by that score (ibid.): less is lost of the others;
    - ``centred_clipping`` gives 1, the base and a mean change in which nobody pulls further than ``radius`` times the
      median norm (Karimireddy et al. 2021, "Learning from history"): against scaled updates, and cautious;
    - ``leave_one_out`` gives n, the means without each one: whoever is alone in lying is left out of one of them;
    - ``halves`` gives up to n, the means of half of them around the circle: against several liars;
    - ``steps`` gives one for each of ``steps``, going so far towards the mean: where the mean goes too far or
      not far enough;
    - ``single`` gives n, each proposal alone: when nearly all lie, or when learners' data are alike;
    - ``aligned`` gives 1, the mean of those whose changes went along with the others', see
      :class:`~colearn_core.alignment.Alignments`; to begin with, of all: against learners that pull the other way,
      also where data differ much, and nothing is lost while there are none;
    - ``trusted`` gives 1, the mean of those of good reputation, unless all are: after some rounds, against the same
      liars at little cost. Here and in ``aligned`` a claim of samples counts for at most three times the median claim.

    Whoever claims many samples weighs much in ``mean``, ``leave_one_out``, ``halves`` and ``steps``; in the robust
    means each proposal counts alike. These need three proposals, and models with coordinates: trees have none, and
    their families are left out. Of ``liars`` at most fewer than half count. If nothing else can be made the mean is
    put to the vote. Candidates with the same weights are put to the vote once.

    Raises:
        ParameterError: a family is unknown or a parameter out of range.
    """

    families: Annotated[tuple[str, ...], f"What is put to the vote, in this order: {', '.join(FAMILIES)}"] = (
        "mean",
        "median",
        "leave_one_out",
        "halves",
    )
    liars: Annotated[int, Ge(0), "Liars to expect among the proposers, for trimmed_mean, krum and multi_krum"] = 1
    radius: Annotated[float, Gt(0), "How far one may pull in centred_clipping, in median norms of the changes"] = 1.0
    steps: Annotated[tuple[float, ...], "How far towards the mean to go in steps; 1 is the mean itself"] = (0.5, 2.0)
    alignments: Alignments = field(default=Alignments(), init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_steps(self.steps)
        unknown = [family for family in self.families if family not in FAMILIES]
        if unknown or not self.families:
            raise ParameterError(f"families must be some of {', '.join(FAMILIES)}, not {', '.join(unknown) or 'none'}")
        if self.liars < 0:
            raise ParameterError(f"liars can't be negative: {self.liars}")
        if not 0 < self.radius < inf:
            raise ParameterError(f"radius must be a positive number, not {self.radius}")

    @property
    def needs_reputations(self) -> bool:
        return super().needs_reputations or "trusted" in self.families

    def after(self, past: PastRound) -> Self:
        later = super().after(past)
        return changed(later, alignments=self.alignments.after(past)) if past.observed else later

    def observe(self, base: Weights, proposals: Mapping[int, Proposal]) -> Mapping[int, float]:
        """How far each change goes along with the others, where candidates are made by that."""
        if "aligned" not in self.families:
            return {}
        try:
            return observed(proposals, inner_products(base, [p.weights for p in proposals.values()]))
        except WeightsError:  # models without coordinates go nowhere
            return {}

    def candidates(self, base: Weights, proposals: Mapping[int, Proposal], combine: Combine) -> list[Candidate]:
        trusted = tuple(i for i in proposals if self.reputations.good(i))
        aligned = tuple(i for i in proposals if self.alignments.good(i))
        rivals = Rivals(base, proposals, combine, self.liars, self.radius, self.steps, trusted, aligned)
        return rivals.candidates(self.families)
