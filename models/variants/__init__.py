"""What can be done to a model. No room here yet."""
