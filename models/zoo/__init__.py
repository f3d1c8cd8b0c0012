"""Small real MLX models."""
