"""What pytest leaves alone here: the example specs, which tests read one by one, and the runs."""

collect_ignore = ["tests/examples", "runs"]
