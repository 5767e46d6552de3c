"""Every component of the core keeps its contract."""

from __future__ import annotations

from colearn_core.approval import Approval
from colearn_core.components import KINDS
from colearn_core.plugins import Plugins
from colearn_core.rivals import FAMILIES
from colearn_core.testing import (
    AdversaryContract,
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


def test_no_family_of_approval_is_forgotten() -> None:
    apart = {
        family
        for name, contract in globals().items()
        if name.startswith("TestApproval") and name != "TestApprovalOfEveryFamily"
        for family in contract.parameters.get("families", Approval().families)
    }
    assert apart == set(FAMILIES)


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


class TestContinuous(SplitterContract):
    component = "continuous"
    parameters = {"column": "age"}


class TestDirichlet(SplitterContract):
    component = "dirichlet"


class TestBalancedDirichlet(SplitterContract):
    component = "dirichlet"
    parameters = {"alpha": 0.1, "balanced": True}


class TestDirichletOfShares(SplitterContract):
    component = "dirichlet"
    parameters = {"shares": (1, 2, 3, 4, 50)}


class TestDistribution(SplitterContract):
    component = "distribution"
    parameters = {"table": ((1,) * 10, (0,) * 9 + (1,), (2,) * 10, (0.5,) * 10, (1, 0) * 5)}


class TestFeatureNoise(SplitterContract):
    component = "feature_noise"


class TestFractions(SplitterContract):
    component = "fractions"
    parameters = {"shares": (1, 2, 3, 4, 5)}


class TestGammaSimilarity(SplitterContract):
    component = "gamma_similarity"


class TestGroupedNatural(SplitterContract):
    component = "grouped_natural"
    parameters = {"column": "patient"}


class TestIid(SplitterContract):
    component = "iid"


class TestNatural(SplitterContract):
    component = "natural"
    parameters = {"column": "hospital"}
    learners = 10


class TestPathological(SplitterContract):
    component = "pathological"


class TestPowerLaw(SplitterContract):
    component = "quantity"


class TestDrawnQuantities(SplitterContract):
    component = "quantity"
    parameters = {"law": "log_normal", "per_class": True, "strength": 3.0}


class TestDirichletQuantities(SplitterContract):
    component = "quantity"
    parameters = {"law": "dirichlet"}


class TestExponentialQuantities(SplitterContract):
    component = "quantity"
    parameters = {"law": "exponential", "min_samples": 2}


class TestShards(SplitterContract):
    component = "shards"


class TestStratified(SplitterContract):
    component = "stratified"


class TestTime(SplitterContract):
    component = "time"


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


class TestApprovalOfTheAligned(ProposalStrategyContract):
    component = "approval"
    parameters = {"families": ("aligned",), "size": 5, "max_norm": 2.0}


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


class TestEveryoneClipped(ProposalStrategyContract):
    component = "everyone"
    parameters = {"max_norm": 1.0, "max_change": 0.5}


class TestLineSearch(ProposalStrategyContract):
    component = "line_search"


class TestLineSearchClipped(ProposalStrategyContract):
    component = "line_search"
    parameters = {"steps": (1.0, 3.0), "max_norm": 2.0}


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


class TestBackdoor(AdversaryContract):
    component = "backdoor"


class TestCrashing(AdversaryContract):
    component = "crashing"


class TestFreeRider(AdversaryContract):
    component = "free_rider"


class TestGaussianNoise(AdversaryContract):
    component = "gaussian_noise"


class TestInnerProduct(AdversaryContract):
    component = "inner_product"


class TestLabelFlip(AdversaryContract):
    component = "label_flip"


class TestLiar(AdversaryContract):
    component = "liar"


class TestLittleIsEnough(AdversaryContract):
    component = "little_is_enough"


class TestMimic(AdversaryContract):
    component = "mimic"


class TestMinMax(AdversaryContract):
    component = "min_max"


class TestMinSum(AdversaryContract):
    component = "min_max"
    parameters = {"near": "sum"}


class TestNan(AdversaryContract):
    component = "nan"


class TestScaledUpdate(AdversaryContract):
    component = "scaled_update"


class TestSignFlip(AdversaryContract):
    component = "sign_flip"


class TestSlow(AdversaryContract):
    component = "slow"
    parameters = {"seconds": 0.001}


class TestStale(AdversaryContract):
    component = "stale"


class TestModelReplacement(AdversaryContract):
    component = "backdoor"
    parameters = {"scale": 5.0, "features": (0, 2), "poisoned": 0.2}


class TestDisguisedFreeRider(AdversaryContract):
    component = "free_rider"
    parameters = {"noise": 1.0}


class TestStaleBySomeRounds(AdversaryContract):
    component = "stale"
    parameters = {"rounds": 2}
