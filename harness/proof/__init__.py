"""Whether a run is to be believed: graded again, judged again, and held against a signature where there is one."""
