"""The duties of a worker, a thread each: heartbeat, verdicts, claim, deliver, children, reconcile, guard, sample."""
