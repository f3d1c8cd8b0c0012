"""The verbs of the `hallmark` command, a module for each few that belong together."""
