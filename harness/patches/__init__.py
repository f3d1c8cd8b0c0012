"""Expectations that change by a reviewed patch: what a run would have them be, who accepted it, and why."""
