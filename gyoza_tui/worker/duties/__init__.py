"""The duties of a worker, one thread each: heartbeat, heed, claim, deliver, reconcile, guard, sample."""
