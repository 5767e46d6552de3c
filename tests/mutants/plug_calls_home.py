"""A plugin whose module asks the network, and hides that it failed: its one fault."""

from __future__ import annotations

import socket
from contextlib import suppress

from colearn_core import Component, hookimpl

with suppress(OSError), socket.create_connection(("127.0.0.1", 9), timeout=0.1):
    pass


@hookimpl
def colearn_voting_policies() -> list[Component]:
    return [Component("plug.cautious", "plug_faults:Cautious", "Wants a clear gain")]
