"""One room a report format."""
