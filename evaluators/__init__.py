"""One room a kind of check."""
