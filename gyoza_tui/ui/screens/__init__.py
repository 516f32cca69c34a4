"""What fills the terminal: the main screen, a run, help, dialogs."""
