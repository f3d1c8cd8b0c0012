"""What the whole repository's tests share: pytest's own tester."""

pytest_plugins = ["pytester"]
