"""The serving stack of one model, its canary and its shadow included."""
