"""One room a way of opening a model."""
