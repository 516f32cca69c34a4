"""What runs an op. Adding a backend is one file here and one entry in `BACKENDS`."""
