"""simplexlab: see what supervised losses do to representations.

Cross-entropy (CE), cross-entropy with a fixed simplex classifier (CE-fix) and the supervised contrastive loss (SC)
reach their minimum when each class collapses onto a vertex of a regular simplex (Graf et al., "Dissecting Supervised
Contrastive Learning", ICML 2021). The subpackages are imported on first use, so `import simplexlab` costs nothing;
where Keras is already loaded, the Keras objects of the project are registered with it at once.
"""

import sys

__version__ = "0.1.0"

if "keras" in sys.modules:
    import simplexlab.losses
    import simplexlab.models.normalization
    import simplexlab.training.optimizer  # noqa: F401
