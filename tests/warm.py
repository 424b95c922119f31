"""What the fork server of the fixture `forked` has imported before it forks: TensorFlow, Keras and the commands."""

from simplexlab.after_import import import_without_optional

import_without_optional()  # as in a process of the command line

import simplexlab.cli  # noqa: E402
import simplexlab.training.commands  # noqa: E402
import simplexlab.training.loop  # noqa: E402, F401
