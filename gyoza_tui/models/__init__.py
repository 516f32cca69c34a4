"""The words of the domain: states, events, runs, definitions, constraints, limits. No I/O anywhere below."""
