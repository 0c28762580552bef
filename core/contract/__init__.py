"""The contract of a model version, shared by training, serving and monitoring. Standard library.

`names` holds the names shared by all packages, `model` the contract that a version states,
`derived` the contract of a version that states none, `compatibility` whether one contract may
replace another, and `pseudonym` how a person's identity is stored.
"""
