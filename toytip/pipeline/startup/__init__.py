"""Work before the first stage of a run, and work that a run prepares in the background."""
