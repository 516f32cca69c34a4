"""What pipeline steps share."""
