"""Every component of the core keeps its contract."""

from __future__ import annotations

from colearn_core.components import KINDS
from colearn_core.plugins import Plugins
from colearn_core.testing import (
    DatasetContract,
    LearnerContract,
    LedgerContract,
    ProposalStrategyContract,
    RuntimeContract,
    SplitterContract,
    VotingPolicyContract,
)


def test_no_component_is_forgotten() -> None:
    contracts = [value for name, value in globals().items() if name.startswith("Test")]
    offered = {(kind, name) for kind in KINDS for name in Plugins([]).components(kind)}
    assert {(c.kind, c.component) for c in contracts} == offered


class TestSoftmax(LearnerContract):
    component = "softmax"


class TestMajority(VotingPolicyContract):
    component = "majority"


class TestThreshold(VotingPolicyContract):
    component = "threshold"


class TestTwoThirds(VotingPolicyContract):
    component = "threshold"
    parameters = {"share": "2/3", "quorum": 0.8}


class TestMedianImprovement(VotingPolicyContract):
    component = "median_improvement"


class TestPerClass(VotingPolicyContract):
    component = "per_class"


class TestRandomisedResponse(VotingPolicyContract):
    component = "randomised_response"


class TestRandomisedTwoThirds(VotingPolicyContract):
    component = "randomised_response"
    parameters = {"epsilon": 0.1, "share": 0.66}


class TestReputation(VotingPolicyContract):
    component = "reputation"


class TestScoreMargin(VotingPolicyContract):
    component = "score_margin"


class TestTrimmedMargin(VotingPolicyContract):
    component = "score_margin"
    parameters = {"trim": 0.3, "relative": False, "clip": 0.5}


class TestSignificant(VotingPolicyContract):
    component = "significant"


class TestSupermajority(VotingPolicyContract):
    component = "supermajority"


class TestWeighted(VotingPolicyContract):
    component = "weighted"


class TestStakes(VotingPolicyContract):
    component = "weighted"
    parameters = {"stakes": (5.0, 1.0, 2.5), "cap": 2.0}


class TestUnanimous(VotingPolicyContract):
    component = "unanimous"


class TestDirichlet(SplitterContract):
    component = "dirichlet"


class TestFractions(SplitterContract):
    component = "fractions"
    parameters = {"shares": (1, 2, 3, 4, 5)}


class TestIid(SplitterContract):
    component = "iid"


class TestShards(SplitterContract):
    component = "shards"


class TestApproval(ProposalStrategyContract):
    component = "approval"


class TestCommittee(ProposalStrategyContract):
    component = "committee"


class TestEveryone(ProposalStrategyContract):
    component = "everyone"


class TestLineSearch(ProposalStrategyContract):
    component = "line_search"


class TestRandomProposer(ProposalStrategyContract):
    component = "random"


class TestRoundRobin(ProposalStrategyContract):
    component = "round_robin"


class TestBlobs(DatasetContract):
    component = "blobs"


class TestFileLedger(LedgerContract):
    component = "file"


class TestFusedRuntime(RuntimeContract):
    component = "fused"


class TestLoopRuntime(RuntimeContract):
    component = "loop"
