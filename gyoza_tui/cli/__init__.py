"""The verbs of `gyoza-tui`, one small file per group of verbs; whatever is heavy is imported inside its verb."""
