"""What training, serving and monitoring agree on about a model version. Standard library only.

`names` holds the names that both sides of the registry use, `model` what a version says about
itself, `derived` the same for a version that states nothing, `compatibility` whether one contract
may follow another, and `pseudonym` how a person's identity is stored.
"""
