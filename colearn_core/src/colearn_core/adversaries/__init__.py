"""Adversaries: learners that cheat or fail, to see how a vote stands up to them.

``Experiment(learners, adversaries={3: SignFlip(), 7: Crashing()})`` has two of the learners play one. The
learners themselves stay as they are: what an adversary publishes is put in place of what they say.
"""

from __future__ import annotations

from .adversary import Adversary as Adversary
from .adversary import Scene as Scene
from .adversary import poisoned as poisoned
from .attack_success import attack_success as attack_success
from .backdoor import Backdoor as Backdoor
from .crashing import Crashing as Crashing
from .dishonest import DishonestCohort as DishonestCohort
from .free_rider import FreeRider as FreeRider
from .gaussian_noise import GaussianNoise as GaussianNoise
from .inner_product import InnerProduct as InnerProduct
from .label_flip import LabelFlip as LabelFlip
from .liar import Liar as Liar
from .little_is_enough import LittleIsEnough as LittleIsEnough
from .mimic import Mimic as Mimic
from .min_max import MinMax as MinMax
from .nan import Nan as Nan
from .roles import Wanted as Wanted
from .roles import roles as roles
from .scaled_update import ScaledUpdate as ScaledUpdate
from .sign_flip import SignFlip as SignFlip
from .slow import Slow as Slow
from .stale import Stale as Stale
