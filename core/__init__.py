"""Code shared by training, serving and monitoring; imports none of the three packages."""
