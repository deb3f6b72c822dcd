"""What people write instead: the same rows kept, the same features, the same training. Each is a script of its own."""
