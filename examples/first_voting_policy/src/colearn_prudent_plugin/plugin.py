"""What this plugin offers."""

from __future__ import annotations

from colearn_core import Component, hookimpl


@hookimpl
def colearn_voting_policies() -> list[Component]:
    return [Component("prudent.margin", "colearn_prudent_plugin.policies:Margin", "A clear lead over the rejections")]
