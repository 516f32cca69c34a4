"""The five duties of a worker, one thread each: heartbeat, claim, deliver, reconcile, sample."""
