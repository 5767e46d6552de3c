"""What this plugin offers."""

from __future__ import annotations

from colearn_core import Component, hookimpl


@hookimpl
def colearn_learners() -> list[Component]:
    return [Component("centroid.nearest", "colearn_centroid_plugin.learner:NearestCentroid", "Nearest class centre")]
