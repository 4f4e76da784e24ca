"""`python -m intaglio` is `intaglio`."""

from intaglio.cli import main

main()
