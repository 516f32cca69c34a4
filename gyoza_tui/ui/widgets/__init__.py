"""What panels are made of; knows no worker, only what it is shown."""
