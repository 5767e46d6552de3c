"""The core's own plugin: its components go through the same hooks as everyone else's."""

from __future__ import annotations

from .components import Component
from .hookspecs import hookimpl


@hookimpl
def colearn_learners() -> list[Component]:
    return [Component("softmax", "colearn_core.reference:SoftmaxRegression", "Logistic regression in plain numpy")]


@hookimpl
def colearn_datasets() -> list[Component]:
    return [Component("blobs", "colearn_core.reference:blobs", "Synthetic clusters, one for each class")]


@hookimpl
def colearn_voting_policies() -> list[Component]:
    return [
        Component("majority", "colearn_core.voting:Majority", "More than half of the votes cast"),
        Component("median_improvement", "colearn_core.graded:MedianImprovement", "Rivals by their median improvement"),
        Component("per_class", "colearn_core.per_class:PerClass", "No class may get much worse"),
        Component("randomised_response", "colearn_core.randomised_response:RandomisedResponse", "Deniable votes"),
        Component("reputation", "colearn_core.voters_record:Reputation", "Votes weigh by the voters' record"),
        Component("score_margin", "colearn_core.graded:ScoreMargin", "The mean of clipped improvements"),
        Component("significant", "colearn_core.significance:Significant", "Only those vote that are sure"),
        Component("supermajority", "colearn_core.voting:Supermajority", "Two thirds of the votes cast"),
        Component("threshold", "colearn_core.voting:Threshold", "A given share of the votes cast"),
        Component("unanimous", "colearn_core.voting:Unanimous", "All votes cast"),
        Component("weighted", "colearn_core.weighing:Weighted", "Votes weigh by samples or stakes"),
    ]


@hookimpl
def colearn_splitters() -> list[Component]:
    return [
        Component("continuous", "colearn_core.by_column:Continuous", "Along a quantity, as strictly as you like"),
        Component("dirichlet", "colearn_core.splitting:Dirichlet", "Label skew of chosen strength"),
        Component("distribution", "colearn_core.label_skew:Distribution", "Shares of each class as a table says"),
        Component("feature_noise", "colearn_core.feature_skew:FeatureNoise", "Equal parts, features ever noisier"),
        Component("fractions", "colearn_core.splitting:Fractions", "Random parts of given sizes"),
        Component("gamma_similarity", "colearn_core.label_skew:GammaSimilarity", "Label skew: partly sorted by class"),
        Component("grouped_natural", "colearn_core.by_column:GroupedNatural", "Whole groups for each learner"),
        Component("iid", "colearn_core.splitting:Iid", "Equal random parts"),
        Component("natural", "colearn_core.by_column:Natural", "One learner for each value of a column"),
        Component("pathological", "colearn_core.label_skew:Pathological", "Label skew: exactly k classes each"),
        Component("quantity", "colearn_core.quantity_skew:Quantity", "Random parts whose sizes follow a law"),
        Component("shards", "colearn_core.splitting:Shards", "Label skew: few classes for each learner"),
        Component("stratified", "colearn_core.label_skew:Stratified", "Equal parts with the same classes"),
        Component("time", "colearn_core.by_column:Time", "Consecutive samples by a time column"),
    ]


@hookimpl
def colearn_proposal_strategies() -> list[Component]:
    return [
        Component("approval", "colearn_core.approval:Approval", "A committee's rival candidates"),
        Component("committee", "colearn_core.proposing:Committee", "The mean of a few proposals"),
        Component("everyone", "colearn_core.proposing:Everyone", "The mean of all proposals"),
        Component("line_search", "colearn_core.proposing:LineSearch", "One proposal at several step sizes"),
        Component("random", "colearn_core.proposing:Random", "One learner, drawn at random"),
        Component("round_robin", "colearn_core.proposing:RoundRobin", "One learner after the other"),
    ]


@hookimpl
def colearn_ledgers() -> list[Component]:
    return [Component("file", "colearn_core.ledger:FileLedger", "Hash-chained JSON lines, weights beside them")]


@hookimpl
def colearn_adversaries() -> list[Component]:
    here = "colearn_core.adversaries"
    return [
        Component("backdoor", f"{here}.backdoor:Backdoor", "Trains a trigger into the model"),
        Component("crashing", f"{here}.crashing:Crashing", "Faulty: is often not there"),
        Component("free_rider", f"{here}.free_rider:FreeRider", "Returns the base, perhaps with noise"),
        Component("gaussian_noise", f"{here}.gaussian_noise:GaussianNoise", "Adds noise to its proposal"),
        Component("inner_product", f"{here}.inner_product:InnerProduct", "Against the honest mean"),
        Component("label_flip", f"{here}.label_flip:LabelFlip", "Trains on wrong labels"),
        Component("liar", f"{here}.liar:Liar", "Lies in the vote only"),
        Component("little_is_enough", f"{here}.little_is_enough:LittleIsEnough", "Hides among the honest"),
        Component("mimic", f"{here}.mimic:Mimic", "Repeats one honest learner"),
        Component("min_max", f"{here}.min_max:MinMax", "As far off as the honest are from each other"),
        Component("nan", f"{here}.nan:Nan", "Faulty: weights that are no numbers"),
        Component("scaled_update", f"{here}.scaled_update:ScaledUpdate", "Exaggerates"),
        Component("sign_flip", f"{here}.sign_flip:SignFlip", "Goes the other way"),
        Component("slow", f"{here}.slow:Slow", "Faulty: keeps the others waiting"),
        Component("stale", f"{here}.stale:Stale", "Faulty: trains from old weights"),
    ]


@hookimpl
def colearn_runtimes() -> list[Component]:
    return [
        Component("fused", "colearn_core.runtimes:fused", "This process; all learners scored in one pass"),
        Component("loop", "colearn_core.runtimes:loop", "This process; one learner after the other"),
    ]
