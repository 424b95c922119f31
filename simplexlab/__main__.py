"""`python -m simplexlab`: the `simplexlab` command of this Python."""

from simplexlab.cli import run

run()
