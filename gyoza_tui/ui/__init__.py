"""The terminal app: to come. It will know the worker by its control and its snapshot only."""
