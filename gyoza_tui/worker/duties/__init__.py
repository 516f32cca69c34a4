"""The duties of a worker, one thread each: heartbeat, verdicts, claim, deliver, reconcile, guard, sample."""
