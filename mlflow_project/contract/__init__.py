"""What training, serving and monitoring must agree on. Standard library only.

The three packages never import each other; each imports this one. `names` holds the names both
sides of the registry use, `model` what a version says about itself, `store` the inference store's
rows, `places` where they are, `locks` who holds a journal,
and `identity` how a person becomes a pseudonym.
"""
