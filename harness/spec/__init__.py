"""YAML files in, a Plan out: strict, with file:line:column for every fault. Opens no model."""
