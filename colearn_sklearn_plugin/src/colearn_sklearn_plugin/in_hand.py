"""Data in hand: see :mod:`colearn_core.in_hand`."""

from colearn_core.in_hand import InHand as InHand
from colearn_core.in_hand import Pair as Pair
from colearn_core.in_hand import in_hand as in_hand
