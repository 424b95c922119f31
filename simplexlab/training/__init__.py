"""Training: the loop, devices, evaluation. The only place that brings data, models, losses and run folders together."""
