"""Every component of the core keeps its contract."""

from __future__ import annotations

from colearn_core.components import KINDS
from colearn_core.plugins import Plugins
from colearn_core.rivals import FAMILIES
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


class TestApprovalOfEveryFamily(ProposalStrategyContract):
    component = "approval"
    parameters = {"families": tuple(FAMILIES), "liars": 2, "choose": "reputation"}


class TestApprovalByKrum(ProposalStrategyContract):
    component = "approval"
    parameters = {"families": ("krum", "multi_krum", "trimmed_mean"), "size": 7, "liars": 2, "choose": "round_robin"}


class TestApprovalByPoints(ProposalStrategyContract):
    component = "approval"
    parameters = {"families": ("geometric_median", "centred_clipping"), "size": 6, "radius": 0.5, "max_norm": 1.0}


class TestApprovalOfTheTrusted(ProposalStrategyContract):
    component = "approval"
    parameters = {"families": ("trusted", "single", "steps"), "steps": (0.3, 1.5), "size": 4}


class TestCommitteeByReputation(ProposalStrategyContract):
    component = "committee"
    parameters = {"size": 2, "choose": "reputation"}


class TestCommitteeInTurn(ProposalStrategyContract):
    component = "committee"
    parameters = {"size": 3, "choose": "round_robin", "max_change": 0.1}


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
