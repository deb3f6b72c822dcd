"""Judge predictions that any program made, and compare them on a leaderboard."""
