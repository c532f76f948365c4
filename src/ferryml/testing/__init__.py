"""Builders and fakes that users of Ferry may use in their own tests."""
