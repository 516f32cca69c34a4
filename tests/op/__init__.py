"""What an op author imports."""
