"""How models are opened, and small real ones that we build and certify ourselves."""
