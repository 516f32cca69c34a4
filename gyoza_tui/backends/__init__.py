"""What runs an op: one protocol in `base.py`, one folder for each backend, one entry each in `registry.py`."""
