"""Whether gates keep what they say: a spec in YAML goes in, chance answers for the models, and verdicts are counted.

python benchmarks/validity [--quick] [--replications 2000] [--only looks]
"""
