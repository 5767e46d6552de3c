"""``python -m colearn_core`` is ``colearn``."""

from .cli import main

main(prog_name="colearn")
