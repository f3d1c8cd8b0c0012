"""Methods over plain numbers, on scipy. Knows nothing of specs or pytest."""
