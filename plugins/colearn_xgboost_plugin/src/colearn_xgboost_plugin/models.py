"""The learner components."""

from __future__ import annotations

from colearn_core.parameters import sharing

from . import settings
from .learner import XGBoostGrowth

classifier = sharing(XGBoostGrowth, "learner")(settings.classifier)
regressor = sharing(XGBoostGrowth, "learner")(settings.regressor)
