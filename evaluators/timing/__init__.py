"""What kinds that measure times share: budgets, and what is said of them."""
