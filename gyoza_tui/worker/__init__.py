"""The worker: everything that runs without a terminal and without a web framework."""
