"""The sections of a screen: resources, runs, log, worker."""
